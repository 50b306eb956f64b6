/**
 * Words of a policy that are well-typed and can still never match: uids that name nothing in sms.yaml, and
 * values an attribute never has. A forbid with such a word would silently forbid nothing.
 */
import { addressKind } from "../address.ts";
import { nearest } from "../nearest.ts";
import { API_AGENT } from "../policy.ts";
import { comparison, literals, member, nodes, type Uid, uidIn, variable } from "./expression.ts";
import type { PolicySettings } from "./settings.ts";

/** A word that cannot be meant. `uid` or `value` is what to look for in the text to find its place. */
export interface Misnomer {
  readonly uid?: Uid;
  readonly value?: string;
  readonly message: string;
  readonly fix: string;
}

/** All misnomers of a policy's syntax tree. */
export function misnomers(tree: unknown, settings: PolicySettings): Misnomer[] {
  const found: Misnomer[] = [];
  const add = (misnomer: Misnomer | undefined) => {
    if (misnomer !== undefined) found.push(misnomer);
  };
  for (const [key, value] of nodes(tree)) {
    for (const uid of uidsOf(key, value)) add(unknownUid(uid, settings));
    for (const relation of relations(key, value)) add(unrelated(relation));
    for (const attribute of key === "has" ? [member(value, "attr")].flat() : [])
      if (typeof attribute === "string") add(unknownAttribute(attribute));
    const compared = comparison(key, value);
    for (const literal of compared?.literals ?? [])
      if (typeof literal === "string") add(neverEquals(compared?.attribute ?? "", literal, settings));
  }
  return found.filter(
    (one, index) =>
      found.findIndex((other) => other.message === one.message && other.value === one.value) === index,
  );
}

/** Uids of a scope stand under `entity` and `entities`, those of an expression under `__entity`. */
export function uidsOf(key: string, value: unknown): Uid[] {
  const held = key === "entities" && Array.isArray(value) ? value : [value];
  if (!["entity", "entities", "__entity"].includes(key)) return [];
  return held.flatMap((item: unknown) => uidIn(item) ?? []);
}

function unknownUid(uid: Uid, settings: PolicySettings): Misnomer | undefined {
  const { type, id } = uid;
  const written = `${type}::${JSON.stringify(id)}`;
  const refuse = (what: string, known: readonly string[]): Misnomer => {
    const meant = nearest(id, known);
    return {
      uid,
      message: `${written} names no ${what} of the configuration`,
      fix:
        meant !== undefined
          ? `Did you mean ${type}::${JSON.stringify(meant)}?`
          : known.length === 0
            ? `There is no ${what} in sms.yaml.`
            : `Known: ${known.map((name) => JSON.stringify(name)).join(", ")}.`,
    };
  };
  switch (type) {
    case "Policy::Agent": {
      if (id === API_AGENT || settings.agents.includes(id)) return undefined;
      return refuse("agent", [...settings.agents, API_AGENT]);
    }
    case "Policy::Channel": {
      const known = settings.channels.map((channel) => channel.id);
      return known.includes(id) ? undefined : refuse("channel", known);
    }
    case "Policy::Server":
      return settings.servers.includes(id) ? undefined : refuse("MCP server", settings.servers);
    case "Policy::Tool": {
      if (settings.tools.includes(id)) return undefined;
      const ofServer = settings.servers.some(
        (server) => id.startsWith(`${server}.`) && id.length > server.length + 1,
      );
      if (ofServer) return undefined;
      const name = id.slice(id.indexOf(".") + 1);
      const meant = refuse("tool", [
        ...settings.tools,
        ...settings.servers.map((server) => `${server}.${name}`),
      ]);
      return { ...meant, fix: `${meant.fix} A tool of an MCP server is written "server.tool".` };
    }
    case "Policy::Message":
    case "Policy::Recipient":
      return {
        uid,
        message: `${written} names a single ${type === "Policy::Message" ? "message" : "recipient"}, which no policy can`,
        fix:
          type === "Policy::Message"
            ? 'Compare an attribute: resource.sender.address == "+15551234567", or write resource in Policy::Channel::"…".'
            : 'Compare an attribute: resource.address == "+15551234567", or write resource in Policy::Channel::"…".',
      };
    default:
      return undefined; // actions and unknown types are the validator's
  }
}

/** What each variable can be (`==`, `is`) and be in. Cedar's validator lets a hopeless pair pass inside `||`. */
const RELATED: Readonly<
  Record<string, { readonly be: readonly string[]; readonly beIn: readonly string[] }>
> = {
  principal: { be: ["Agent"], beIn: ["Agent"] },
  action: { be: ["Action"], beIn: ["Action"] },
  resource: {
    be: ["Message", "Recipient", "Tool"],
    beIn: ["Message", "Recipient", "Tool", "Channel", "Server"],
  },
};

/** Any other type is unknown, which the validator reports. */
const TYPES = new Set([
  "Policy::Action",
  "Policy::Agent",
  ...(RELATED.resource?.beIn ?? []).map((type) => `Policy::${type}`),
]);

/** A variable compared with an entity, or (without `id`) with a type. */
interface Relation {
  readonly name: string;
  readonly how: "be" | "beIn";
  readonly type: string;
  readonly id?: string;
}

function relations(key: string, value: unknown): Relation[] {
  const left = member(value, "left");
  const right = member(value, "right");
  const relate = (name: string | undefined, how: "be" | "beIn", others: readonly unknown[]): Relation[] =>
    name === undefined
      ? []
      : others.flatMap((other) => {
          const uid = uidIn(other);
          return uid === undefined ? [] : [{ name, how, ...uid }];
        });
  switch (key) {
    case "principal":
    case "resource": {
      // A scope: {op: "==", entity}, {op: "in", entity}, {op: "is", entity_type, in: {entity}}
      const how = member(value, "op") === "==" ? "be" : "beIn";
      return relate(key, how, [member(value, "entity") ?? member(member(value, "in"), "entity")]);
    }
    case "==":
    case "!=":
      return [
        ...relate(variable(left), "be", literals(right) ?? []),
        ...relate(variable(right), "be", literals(left) ?? []),
      ];
    case "in":
      return relate(variable(left), "beIn", literals(right) ?? []);
    case "is": {
      const name = variable(left);
      const type = member(value, "entity_type");
      const own: Relation[] =
        name !== undefined && typeof type === "string" ? [{ name, how: "be", type }] : [];
      return [...own, ...relate(name, "beIn", literals(member(value, "in")) ?? [])];
    }
    default:
      return [];
  }
}

function unrelated({ name, how, type, id }: Relation): Misnomer | undefined {
  const related = RELATED[name]?.[how].map((known) => `Policy::${known}`);
  if (related === undefined || related.includes(type) || !TYPES.has(type)) return undefined;
  return {
    ...(id === undefined ? {} : { uid: { type, id } }),
    message: `\`${name}\` can never be ${how === "beIn" ? "in " : ""}${id === undefined ? `a ${type}` : `${type}::${JSON.stringify(id)}`}`,
    fix: `It can ${how === "beIn" ? "only be in" : "only be"}: ${related.join(", ")}.`,
  };
}

const ATTRIBUTES: readonly string[] = [
  "sender",
  "num_media",
  "address",
  "kind",
  "country",
  "paired",
  "in_conversation",
  "mode",
  "provider",
  "paired_addresses",
  "now",
  "channel",
];

function unknownAttribute(attribute: string): Misnomer | undefined {
  if (ATTRIBUTES.includes(attribute)) return undefined;
  const meant = nearest(attribute, ATTRIBUTES);
  return {
    value: attribute,
    message: `nothing has an attribute \`${attribute}\`, so this \`has\` is never true`,
    fix: meant === undefined ? `Known: ${ATTRIBUTES.join(", ")}.` : `Did you mean \`${meant}\`?`,
  };
}

const VALUES: Readonly<Record<string, readonly string[]>> = {
  kind: ["mobile", "shortcode", "alphanumeric", "whatsapp", "rcs"],
  mode: ["message", "signal"],
  provider: ["twilio", "simulator"],
};

function neverEquals(attribute: string, value: string, settings: PolicySettings): Misnomer | undefined {
  if (attribute === "address" || attribute === "paired_addresses") return noAddress(attribute, value);
  if (attribute === "country") {
    if (/^([A-Z]{2})?$/.test(value) && value !== "UK") return undefined;
    const fix =
      value.toUpperCase() === "UK"
        ? 'The United Kingdom is "GB".'
        : 'Write the two capital letters of ISO 3166, such as "DE"; "" stands for no country.';
    return { value, message: `\`country\` is never ${JSON.stringify(value)}`, fix };
  }
  const known = attribute === "channel" ? settings.channels.map((channel) => channel.id) : VALUES[attribute];
  if (known === undefined || known.includes(value)) return undefined;
  const meant = nearest(value, known);
  return {
    value,
    message: `\`${attribute}\` is never ${JSON.stringify(value)}`,
    fix:
      meant === undefined
        ? `It is one of ${known.map((name) => JSON.stringify(name)).join(", ")}.`
        : `Did you mean ${JSON.stringify(meant)}?`,
  };
}

/** Refuses what was meant as a phone number but is not written as carriers write one. Names are left alone. */
function noAddress(attribute: string, value: string): Misnomer | undefined {
  if (addressKind(value) !== undefined) return undefined;
  const parts = /^(whatsapp:|rcs:)?([\d\s().+/-]*\d[\d\s().+/-]*)$/.exec(value);
  if (parts === null) return undefined;
  const digits = (parts[2] ?? "").replace(/\D/g, "").replace(/^00/, "");
  const meant = `${parts[1] ?? ""}+${digits}`;
  return {
    value,
    message: `\`${attribute}\` never holds ${JSON.stringify(value)}`,
    fix:
      addressKind(meant) === undefined
        ? 'Write a number as "+15551234567", a short code as "22000", a WhatsApp sender as "whatsapp:+15551234567".'
        : `Write the number with + and country code and nothing else: ${JSON.stringify(meant)}?`,
  };
}
