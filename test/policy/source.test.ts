import { expect, test } from "bun:test";
import fc from "fast-check";
import { countPolicies, parsePolicy, preparePolicies, validatePolicies } from "../../src/policy/cedar.ts";
import { cedarString, indexOfByte, positionOf, splitPolicies, tooDeep } from "../../src/policy/source.ts";

const permit = (condition: string) => `permit (principal, action, resource) when { ${condition} };`;

test("a file is split where its policies end, not where strings or comments hold a semicolon", () => {
  const text = `// a; b "c\n@id("x;") permit (principal, action, resource) when { "\\";" == "//;" }; // end;\nforbid // why;\n(principal, action, resource);`;
  expect(splitPolicies(text).map((piece) => [piece.at, piece.text])).toEqual([
    [11, '@id("x;") permit (principal, action, resource) when { "\\";" == "//;" };'],
    [text.indexOf("forbid"), "forbid // why;\n(principal, action, resource);"],
  ]);
  expect(splitPolicies(" // nothing\n\n")).toEqual([]);
});

test("Cedar finds as many policies as the split, whatever their strings and comments hold", () => {
  const odd = fc.string({
    unit: fc.constantFrom(";", '"', "\\", "/", "{", "ü", "😀", " ", "a"),
    maxLength: 12,
  });
  const rule = fc
    .record({ id: odd, value: odd, comment: odd })
    .map(
      ({ id, value, comment }) =>
        `@id(${cedarString(`${id}-`)})// ${comment}\npermit (principal, action, resource)//${comment}\rwhen { ${cedarString(value)} == "x" };`,
    );
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 5 }), (rules) => {
      const text = rules.join(" // between\n");
      const pieces = splitPolicies(text);
      expect(pieces.map((piece) => piece.text)).toEqual(rules);
      expect(countPolicies(text)).toBe(rules.length);
    }),
    { numRuns: 100 },
  );
});

test("a string is written so that Cedar reads it back as it was", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 30 }), (value) => {
      const parsed = parsePolicy(`@id(${cedarString(value)}) permit (principal, action, resource);`);
      expect(parsed).toMatchObject({ annotations: { id: value } });
    }),
    { numRuns: 200 },
  );
});

test("a byte offset and an index name the same place in any text", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "grapheme", maxLength: 30 }),
      fc.string({ unit: "grapheme", maxLength: 30 }),
      (before, after) => {
        expect(indexOfByte(before + after, Buffer.byteLength(before))).toBe(before.length);
      },
    ),
    { numRuns: 200 },
  );
});

test("lines and columns count from one", () => {
  expect(positionOf("ab\ncd", 0)).toEqual({ line: 1, column: 1 });
  expect(positionOf("ab\ncd", 2)).toEqual({ line: 1, column: 3 });
  expect(positionOf("ab\r\ncd", 5)).toEqual({ line: 2, column: 2 });
});

const READ = "resource.sender.paired";
const deepest = (build: (size: number) => string): string => {
  let text = permit("true");
  for (let size = 1; size < 2_000; size++) {
    const next = permit(build(size));
    if (splitPolicies(next).some(tooDeep)) return text;
    text = next;
  }
  throw new Error("nothing was too deep");
};

test("the deepest policies that are let through leave Cedar's stack whole", () => {
  const mixed = (n: number): string => (n === 0 ? READ : `(${READ} && (${mixed(n - 1)} || ${READ}))`);
  const texts = [
    deepest((n) => `${"(".repeat(n)}${READ}${")".repeat(n)}`),
    deepest((n) => `${"!(".repeat(n)}${READ}${")".repeat(n)}`),
    deepest((n) => `${"[".repeat(n)}1${"]".repeat(n)} == ${"[".repeat(n)}1${"]".repeat(n)}`),
    deepest((n) => `${"{a: ".repeat(n)}1${"}".repeat(n)} == ${"{a: ".repeat(n)}1${"}".repeat(n)}`),
    deepest((n) => Array(n).fill(READ).join(" && ")),
    deepest((n) => Array(n).fill(`${READ} == true`).join(" || ")),
    deepest((n) => `${Array(n).fill("1").join(" + ")} > 0`),
    deepest((n) => `resource${".sender".repeat(n)} == 1`),
    deepest((n) => `context.now${'.offset(duration("1h"))'.repeat(n)} > context.now`),
    deepest((n) => `${`if ${READ} then true else `.repeat(n)}false`),
    deepest((n) => `${`if ${READ} then `.repeat(n)}true${" else false".repeat(n)}`),
    deepest(mixed),
  ];
  const request = {
    principal: { type: "Policy::Agent", id: "a" },
    action: { type: "Policy::Action", id: "receive_message" },
    resource: { type: "Policy::Message", id: "m" },
    context: { paired_addresses: [], now: { __extn: { fn: "datetime", arg: "2026-01-15" } } },
    entities: [
      {
        uid: { type: "Policy::Message", id: "m" },
        attrs: { sender: { address: "", kind: "", country: "", paired: true }, num_media: 0 },
        parents: [],
      },
    ],
  };
  for (const text of texts) {
    expect(text.length).toBeGreaterThan(120);
    expect(parsePolicy(text)).toHaveProperty("effect", "permit");
    validatePolicies(new Map([["0", text]]));
    preparePolicies(new Map([["0", text]])).ask(request);
  }
});

test("what is broad rather than deep is let through", () => {
  const numbers = Array.from({ length: 3_000 }, (_, i) => `"+1555${1_000_000 + i}"`).join(", ");
  const broad = [
    permit(`[${numbers}].contains(resource.sender.address)`),
    permit(Array(50).fill(`(resource.sender.address == "22000" && resource.num_media > 1)`).join(" || ")),
  ];
  for (const text of broad) expect(splitPolicies(text).some(tooDeep)).toBe(false);
});
