import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { PHONE, type Service, startService } from "../support/service.ts";
import { BANK, code, TWO_CHANNELS } from "../tokens/support.ts";

setDefaultTimeout(20_000);

/** As much of JSON Schema as the document uses. */
interface Schema {
  readonly $ref?: string;
  readonly allOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly minItems?: number;
  readonly minProperties?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
}
interface Content {
  readonly content?: Readonly<Record<string, { readonly schema?: Schema }>>;
}
interface Operation {
  readonly requestBody?: Content;
  readonly responses: Readonly<Record<string, Content>>;
}
interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

let service: Service;
let document: OpenApi;
beforeAll(async () => {
  service = await startService({ config: { ...TWO_CHANNELS, home: { channel: "sms", address: PHONE } } });
  const headers = { authorization: `Bearer ${service.token}` };
  const answer = await fetch(`${service.adminUrl}/openapi.json`, { headers });
  document = (await answer.json()) as OpenApi;
});
afterAll(() => service.close());

/** The schema with what it refers to and consists of put in its place. */
function resolved(schema: Schema): Schema {
  const named = schema.$ref?.split("/").at(-1);
  if (named !== undefined) return resolved(document.components.schemas[named] ?? {});
  const parts = (schema.allOf ?? []).map(resolved);
  if (parts.length === 0) return schema;
  return {
    type: "object",
    properties: Object.fromEntries(parts.flatMap(({ properties = {} }) => Object.entries(properties))),
    required: parts.flatMap(({ required = [] }) => required),
  };
}

/** What of a value the schema does not describe; empty when all of it is as the document says. */
function differences(schema: Schema, value: unknown, path = ""): readonly string[] {
  const { type, properties, required = [], items, additionalProperties, ...rest } = resolved(schema);
  const { enum: allowed, oneOf, anyOf } = rest;
  const forms =
    oneOf ?? anyOf ?? (Array.isArray(type) ? type.map((one: string) => ({ ...rest, type: one })) : []);
  if (forms.length > 0) {
    const wrong = forms.map((form) => differences(form, value, path));
    return wrong.find(({ length }) => length === 0) ?? wrong.flat();
  }
  if (allowed !== undefined && !allowed.includes(value)) return [`${path}: ${value} is none of ${allowed}`];
  switch (type) {
    case "object": {
      if (typeof value !== "object" || value === null || Array.isArray(value)) return [`${path}: no object`];
      const missing = required
        .filter((name) => !Object.hasOwn(value, name))
        .map((name) => `${path}.${name}: missing`);
      const wrong = Object.entries(value).flatMap(([name, field]: [string, unknown]) => {
        const known = properties?.[name];
        if (known !== undefined) return differences(known, field, `${path}.${name}`);
        return additionalProperties === undefined ? [`${path}.${name}: not described`] : [];
      });
      return [...missing, ...wrong];
    }
    case "array":
      if (!Array.isArray(value)) return [`${path}: no array`];
      return value.flatMap((item, i) => differences(items ?? {}, item, `${path}.${i}`));
    case "integer":
      return Number.isInteger(value) ? [] : [`${path}: ${value} is no integer`];
    case "string":
    case "number":
    case "boolean":
    case "null":
      return (value === null ? "null" : typeof value) === type ? [] : [`${path}: ${value} is no ${type}`];
    default:
      return [`${path}: of no type in the document`];
  }
}

/** A well-formed body of every route that takes one. */
const BODIES: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  "PATCH /channels/{id}": { enabled: true },
  "PATCH /channels/{id}/addresses/{address}": { label: "Ann" },
  "POST /messages": { channel: "sms", to: PHONE, body: "hi" },
  "POST /notify": { text: "hi" },
  "POST /policies/check": { action: "receive_message", channel: "sms", from: PHONE },
  "POST /signals/await": { channel: "codes", timeout: 0 },
  "POST /watches": { channel: "codes" },
  "POST /tokens": { name: "x", scopes: ["read"] },
  "POST /simulator/inbound": { from: PHONE, channel: "codes", body: "hi" },
  "POST /simulator/faults": { on: "send", kind: "read" },
};

const at = (path: string) => path.replace("{id}", "sms").replace("{address}", encodeURIComponent(PHONE));

async function refusedFields(route: string, body: unknown): Promise<readonly string[]> {
  const [method = "", path = ""] = route.split(" ");
  const answer = await service.api(method, at(path), body);
  expect([route, JSON.stringify(body), answer.status]).toEqual([route, JSON.stringify(body), 400]);
  return answer.body.errors.map(({ path: field }: { path: string }) => field);
}

describe("the OpenAPI document", () => {
  const bodies = () =>
    Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.entries(operations).flatMap(([method, { requestBody }]) => {
        const schema = requestBody?.content?.["application/json"]?.schema;
        const route = `${method.toUpperCase()} ${path.replace("/api/v1", "")}`;
        return schema === undefined ? [] : [{ route, schema: resolved(schema) }];
      }),
    );

  test("says of every body which fields there are, which are needed, and what they may be", async () => {
    expect(
      bodies()
        .map(({ route }) => route)
        .sort(),
    ).toEqual(Object.keys(BODIES).sort());
    for (const { route, schema } of bodies()) {
      const body = BODIES[route] ?? {};
      // What is documented is well-formed by the document, and nothing beside it is taken.
      expect(differences(schema, body)).toEqual([]);
      expect([route, schema.additionalProperties]).toEqual([route, false]);
      expect(await refusedFields(route, { ...body, no_such_field: 1 })).toEqual(["no_such_field"]);
      for (const field of schema.required ?? []) {
        const { [field]: _without, ...rest } = body;
        expect(await refusedFields(route, rest), `${route} without ${field}`).toContain(field);
      }
      for (const [field, { enum: choices, minItems }] of Object.entries(schema.properties ?? {})) {
        if (minItems !== undefined)
          expect(await refusedFields(route, { ...body, [field]: [] })).toContain(field);
        if (choices === undefined) continue;
        expect(await refusedFields(route, { ...body, [field]: "no such choice" })).toContain(field);
        for (const choice of choices)
          expect(await refusedFields(route, { ...body, [field]: choice, no_such_field: 1 })).not.toContain(
            field,
          );
      }
      if (schema.minProperties !== undefined) await refusedFields(route, {});
    }
  });

  test("lists for a choice everything that is taken", async () => {
    const said = (name: string, field: string) =>
      document.components.schemas[name]?.properties?.[field]?.enum;
    expect(said("Await", "mode")).toEqual(["once"]);
    expect(await refusedFields("POST /signals/await", { mode: "continuous" })).toEqual(["mode"]);
    expect(said("NewWatch", "mode")).toEqual(["once", "continuous"]);
  });

  test("has only patterns that are regular expressions of the standard, and lets through what is taken", () => {
    const patterns = [...JSON.stringify(document).matchAll(/"pattern":("(?:[^"\\]|\\.)*")/g)].map(
      ([, quoted = ""]): string => JSON.parse(quoted),
    );
    expect(patterns.length).toBeGreaterThan(3);
    for (const pattern of patterns)
      expect([pattern, /\/[a-z]*$/.test(pattern.replace(/:\/\/$/, ""))]).toEqual([pattern, false]);
    const label = patterns.find((pattern) => pattern.includes("\\P{C}")) ?? "";
    expect(new RegExp(label, "u").test("Ann's phone")).toBe(true);
    expect(new RegExp(label, "u").test("Ann\n")).toBe(false);
  });

  test("describes what the routes answer: status, every field, and nothing that is left out", async () => {
    await service.pair();
    const sid = await service.text(PHONE, "hello");
    await service.received(PHONE, 2);
    await code(service, "Your Example code is 482913");
    const message = await service.message(sid);
    const ask = async (route: string, path: string, body?: unknown): Promise<unknown> => {
      const [method = "", template = ""] = route.split(" ");
      const answer = await service.api(method, path, body);
      const described =
        document.paths[`/api/v1${template}`]?.[method.toLowerCase()]?.responses[answer.status];
      expect([route, path, answer.status, described !== undefined]).toEqual([
        route,
        path,
        answer.status,
        true,
      ]);
      const schema =
        described?.content?.["application/json"]?.schema ??
        described?.content?.["application/problem+json"]?.schema;
      if (answer.status !== 204) expect([route, ...differences(schema ?? {}, answer.body)]).toEqual([route]);
      return answer.body;
    };
    await ask("POST /channels/{id}/pairing", "/channels/sms/pairing");
    for (const path of [
      "/channels",
      "/messages",
      "/conversations",
      "/usage",
      "/policies",
      "/configuration",
      "/alerts",
    ])
      await ask(`GET ${path}`, path);
    await ask("GET /channels/{id}", "/channels/sms");
    await ask("POST /channels/{id}/test", "/channels/sms/test");
    await ask("DELETE /channels/{id}/pairing", "/channels/sms/pairing");
    await ask("GET /channels/{id}/addresses", "/channels/sms/addresses");
    await ask(
      "PATCH /channels/{id}/addresses/{address}",
      `/channels/sms/addresses/${encodeURIComponent(PHONE)}`,
      {
        label: "Ann",
      },
    );
    await ask("PATCH /channels/{id}", "/channels/none", { enabled: true });
    await ask("GET /messages/{id}", `/messages/${message.id}`);
    await ask("POST /messages/{id}/resend", `/messages/${message.id}/resend`);
    await ask("GET /conversations/{id}", `/conversations/${message.conversation_id}`);
    await ask("POST /conversations/{id}/end", `/conversations/${message.conversation_id}/end`);
    const look = { from: BANK, consume: "peek", timeout: 0 };
    expect(await ask("POST /signals/await", "/signals/await", look)).toMatchObject({ status: "matched" });
    for (const [route, body] of Object.entries(BODIES))
      if (!route.includes("{")) await ask(route, route.split(" ")[1] ?? "", body);
    await ask("POST /watches", "/watches", { from: "9*", backfill: "250ms" });
    await ask("POST /watches", "/watches", { from: "9*", instructions: "x" });
    for (const path of ["/watches", "/tokens", "/simulator/phones", "/simulator/faults"])
      await ask(`GET ${path}`, path);
    await ask(
      "GET /simulator/phones/{address}/messages",
      `/simulator/phones/${encodeURIComponent(PHONE)}/messages`,
    );
    await ask("DELETE /simulator/faults", "/simulator/faults");
    await ask("POST /sign-in-links", "/sign-in-links");
    await ask("GET /messages/{id}", "/messages/msg_none");
    await ask("GET /messages", "/messages?limit=0");
  });
});
