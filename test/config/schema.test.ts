import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { z } from "zod";
import { configJsonSchema } from "../../src/config/json-schema.ts";
import { configSchema } from "../../src/config/schema.ts";
import { wordsOf } from "../../src/config/schema-walk.ts";
import { BAD_CONFIGS } from "./bad-configs.ts";
import { problemsOf, settingsOf, warningsOf } from "./loading.ts";

const EXAMPLE = readFileSync(new URL("../../sms.example.yaml", import.meta.url), "utf8");

/** The example with its commented settings (`#key:`, and their continuations `#  `) taken in. */
const WHOLE = EXAMPLE.replace(/^( *)#(?! |$)/gm, "$1").replace(/^( *)#(?= {2,})/gm, "$1");

type Schema = z.core.JSONSchema.BaseSchema;

/** All schemas inside, with the keys that lead there. */
function* inside(schema: Schema | boolean | undefined, path: string): Generator<[string, Schema]> {
  if (typeof schema !== "object") return;
  yield [path, schema];
  for (const [key, value] of Object.entries(schema.properties ?? {})) yield* inside(value, `${path}.${key}`);
  if (!Array.isArray(schema.items)) yield* inside(schema.items, `${path}[]`);
  yield* inside(schema.additionalProperties, `${path}.*`);
  for (const option of schema.oneOf ?? []) yield* inside(option, path);
}

describe("the example", () => {
  test("is right as it is shipped, with nothing set and nothing to warn of", () => {
    expect(problemsOf(EXAMPLE)).toEqual([]);
    expect(warningsOf(EXAMPLE)).toEqual([]);
  });

  test("shows the defaults it says it shows", () => {
    const bare = settingsOf(
      `agents:\n  parrot: { type: echo }\n  assistant: { type: llm, base_url: "http://127.0.0.1:11434/v1", model: qwen3:8b }\nchannels: { sms: { provider: simulator, from_number: "+15551234567", agent: parrot } }\n`,
    );
    expect(settingsOf(EXAMPLE)).toEqual(bare);
  });

  test("is right with every commented setting taken in and its variables set", () => {
    const env = {
      TWILIO_ACCOUNT_SID: `AC${"0".repeat(32)}`,
      TWILIO_AUTH_TOKEN: "a",
      TWILIO_AUTH_TOKEN_PREVIOUS: "b",
      TWILIO_API_KEY_SID: `SK${"0".repeat(32)}`,
      TWILIO_API_KEY_SECRET: "c",
      TWILIO_MESSAGING_SERVICE_SID: `MG${"0".repeat(32)}`,
      HOME_TOKEN: "d",
      HOOK_SECRET: "e",
      WEBHOOK_SECRET: "f",
    };
    const world = { env, files: { "/run/secrets/admin_token": "g" }, folders: ["/etc/sms-agent/policies"] };
    const settings = settingsOf(WHOLE, world);
    expect(Object.keys(settings.agents)).toEqual(["parrot", "assistant", "script", "hook"]);
    expect(Object.keys(settings.channels)).toEqual(["sms", "codes"]);
    expect(settings.schedules).toHaveLength(1);
    expect(settings.webhooks[0]?.events).toHaveLength(6);
  });

  test("names every key there is", () => {
    const missing = [...inside(configJsonSchema(), "")]
      .map(([path]) => path.split(".").at(-1)?.replace("[]", "") ?? "")
      .filter((key) => /^[a-z_]+$/.test(key) && !key.endsWith("_file"))
      .filter((key) => !new RegExp(`\\b${key}: `).test(`${WHOLE.replaceAll(":\n", ": \n")}`));
    expect([...new Set(missing)]).toEqual([]);
  });
});

describe("the JSON Schema", () => {
  const schema = configJsonSchema();
  const validator = z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]);

  test("has a title and a description at every key, and closes every map", () => {
    for (const [path, { title, description, type, additionalProperties }] of inside(schema, "")) {
      expect({
        path,
        title: typeof title === "string" || path.endsWith(".type"),
        description: typeof description,
      }).toEqual({
        path,
        title: true,
        description: "string",
      });
      if (type === "object") expect(additionalProperties).toBeDefined();
    }
  });

  test("has the file twin of every secret", () => {
    const paths = [...inside(schema, "")];
    const secrets = paths.filter(([, { title }]) => title === "secret").map(([path]) => path);
    expect(secrets.length).toBeGreaterThan(8);
    for (const secret of secrets) expect(paths.map(([path]) => path)).toContain(`${secret}_file`);
  });

  test("accepts the example, whole and as shipped", () => {
    for (const text of [EXAMPLE, quoteReferences(WHOLE)]) {
      const result = validator.safeParse(parse(text));
      expect(result.error?.issues ?? []).toEqual([]);
    }
  });

  test("accepts environment variables wherever a value stands", () => {
    const file = {
      server: { listen: `127.0.0.1:\${PORT}` },
      channels: {
        sms: {
          mode: `\${MODE}`,
          enabled: `\${ON}`,
          idle_timeout: `\${IDLE:-5m}`,
          reply: { economy: `\${E}`, max_messages: `\${N}` },
        },
      },
      limits: { segments_per_day: `\${N:-5}` },
    };
    expect(validator.safeParse(file).error?.issues ?? []).toEqual([]);
  });

  test("refuses misspelt keys and wrong types", () => {
    const wrong = [
      { chanels: {} },
      { channels: { sms: { mode: "mesage" } } },
      { channels: { sms: { idle_timeout: "soon" } } },
      { channels: { sms: { from_number: 15551234567 } } },
      { channels: { "My Phone": {} } },
      { channels: {}, agents: { a: { type: "ecko" } } },
    ];
    for (const file of wrong) expect(validator.safeParse(file).success).toBe(false);
  });

  test("has the defaults in the form of the file", () => {
    const channel = [...inside(schema, "")].find(([path]) => path === ".channels.*")?.[1];
    expect(channel?.properties?.idle_timeout).toMatchObject({ default: "30m", title: "duration" });
    expect(channel?.properties?.mode).toMatchObject({ default: "message" });
  });
});

test("every key that must be given has an example, so that the rest of a wrong file is still checked", () => {
  const needed = [...required(configSchema, "")];
  expect(needed.map(([path]) => path)).toContain(".schedules.cron");
  for (const [path, schema] of needed) {
    if (path.endsWith(".type")) continue; // without it nothing is known of the agent
    expect([path, wordsOf(schema).examples.length]).toEqual([path, 1]);
  }
});

function* required(schema: z.core.SomeType, path: string): Generator<[string, z.core.SomeType]> {
  if (schema instanceof z.ZodObject) {
    for (const [key, value] of Object.entries<z.core.SomeType>(schema.shape)) {
      const optional = value instanceof z.ZodOptional || value instanceof z.ZodPrefault;
      if (!optional) yield [`${path}.${key}`, value];
      yield* required(optional ? value.unwrap() : value, `${path}.${key}`);
    }
  } else if (schema instanceof z.ZodRecord) yield* required(schema.valueType, path);
  else if (schema instanceof z.ZodArray) yield* required(schema.element, path);
  else if (schema instanceof z.ZodDiscriminatedUnion)
    for (const option of schema.options) yield* required(option, path);
  else if (schema instanceof z.ZodUnion) for (const option of schema.options) yield* required(option, path);
}

/** Plain YAML takes the braces of `${…}` in a flow map for its own; the loader does not. */
function quoteReferences(text: string): string {
  return text.replace(/: (\$\{[^}]*\})/g, ': "$1"');
}

test("the table of wrong files has at least the forty that were promised", () => {
  expect(BAD_CONFIGS.length).toBeGreaterThan(40);
});
