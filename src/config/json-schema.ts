import { z } from "zod";
import { configSchema } from "./schema.ts";

type Json = z.core.JSONSchema.BaseSchema;

/** A text that is made of an environment variable. */
const REFERENCE = { type: "string", pattern: "\\$\\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\\}" } as const;

/** Names that become parts of URLs; MCP servers and environment variables have rules of their own. */
const ID = "^[a-z0-9][a-z0-9_-]{0,63}$";

/**
 * The JSON Schema (2020-12) of sms.yaml as it is written, for editors: with titles, descriptions, defaults and
 * examples, `_file` twins of secrets, and `${NAME}` accepted wherever a value stands.
 */
export function configJsonSchema(): Json {
  const schema = z.toJSONSchema(configSchema, { io: "input", target: "draft-2020-12" });
  for (const key of ["channels", "agents"]) {
    const section = schema.properties?.[key];
    if (typeof section === "object") section.propertyNames = { type: "string", pattern: ID };
  }
  return { ...admitReferences(schema), required: ["channels"] };
}

/** Every value that is not any text at all may also come from an environment variable. */
function admitReferences(schema: Json): Json {
  const { properties, items, additionalProperties, anyOf, oneOf, ...rest } = schema;
  const inside: Json = { ...rest };
  if (properties !== undefined) {
    inside.properties = Object.fromEntries(
      Object.entries(properties).map(([key, value]) => [key, admit(value)]),
    );
  }
  if (items !== undefined && !Array.isArray(items)) inside.items = admit(items);
  if (additionalProperties !== undefined) inside.additionalProperties = admit(additionalProperties);
  if (anyOf !== undefined) inside.anyOf = anyOf.map((option) => admit(option));
  if (oneOf !== undefined) inside.oneOf = oneOf.map((option) => admit(option));
  if (!needsReference(schema)) return inside;
  const { title, description, default: fallback, examples, ...constraint } = inside;
  return {
    ...(title === undefined ? {} : { title }),
    ...(description === undefined ? {} : { description }),
    ...(fallback === undefined ? {} : { default: fallback }),
    ...(examples === undefined ? {} : { examples }),
    anyOf: [constraint, REFERENCE],
  };
}

function admit<T extends Json | boolean>(schema: T): Json | T {
  return typeof schema === "object" ? admitReferences(schema) : schema;
}

/** Numbers, switches and closed choices. The tag of a union must stay a constant for editors to choose by it. */
function needsReference({ type, enum: values, const: constant }: Json): boolean {
  if (constant !== undefined) return false;
  return values !== undefined || type === "number" || type === "integer" || type === "boolean";
}
