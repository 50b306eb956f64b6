/** Reading a policy's syntax tree in Cedar's JSON form (https://docs.cedarpolicy.com/policies/json-format.html). */

export interface Uid {
  readonly type: string;
  readonly id: string;
}

/** Every key of the tree with its value, outermost first. An expression is an object of one key, its operator. */
export function* nodes(tree: unknown): Generator<readonly [key: string, value: unknown]> {
  if (Array.isArray(tree)) {
    for (const item of tree) yield* nodes(item);
  } else if (typeof tree === "object" && tree !== null) {
    for (const [key, value] of Object.entries(tree)) {
      yield [key, value];
      yield* nodes(value);
    }
  }
}

/** The member of an object, or undefined. */
export function member(value: unknown, key: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
  return Reflect.get(value, key);
}

/** A uid as scopes (`{type, id}`) and values (`{__entity: …}`) hold it. */
export function uidIn(value: unknown): Uid | undefined {
  const inner = member(value, "__entity") ?? value;
  const type = member(inner, "type");
  const id = member(inner, "id");
  return typeof type === "string" && typeof id === "string" ? { type, id } : undefined;
}

/** The literals an operand consists of: one, or those of a set; undefined when anything in it is computed. */
export function literals(operand: unknown): unknown[] | undefined {
  const value = member(operand, "Value");
  if (value !== undefined) return Array.isArray(value) ? value : [value];
  const set = member(operand, "Set");
  if (!Array.isArray(set)) return undefined;
  const items = set.map((item: unknown) => member(item, "Value"));
  return items.includes(undefined) ? undefined : items;
}

/** `a.b.attr` → "attr" where the operand is an attribute access. */
export function attributeRead(operand: unknown): string | undefined {
  const attribute = member(member(operand, "."), "attr");
  return typeof attribute === "string" ? attribute : undefined;
}

/** `principal`, `action`, `resource` or `context`, where the operand is that alone. */
export function variable(operand: unknown): string | undefined {
  const name = member(operand, "Var");
  return typeof name === "string" ? name : undefined;
}

/** An attribute compared with literals: `x.attr == "…"`, `"…" != x.attr`, `["…"].contains(x.attr)` and the like. */
export interface Comparison {
  readonly attribute: string;
  readonly literals: readonly unknown[];
}

/** The comparison a node is, if both of its sides are what they must be. */
export function comparison(key: string, value: unknown): Comparison | undefined {
  const left = member(value, "left");
  const right = member(value, "right");
  const sides = key === "==" || key === "!=" ? [[left, right] as const, [right, left] as const] : [];
  if (SETS.has(key)) sides.push([left, right], [right, left]);
  for (const [read, other] of sides) {
    const attribute = attributeRead(read);
    const values = literals(other);
    if (attribute !== undefined && values !== undefined) return { attribute, literals: values };
  }
  return undefined;
}

const SETS = new Set(["contains", "containsAny", "containsAll"]);
