/**
 * The one door to Cedar's WebAssembly. Whatever Cedar says about a text comes out as faults with a byte offset
 * (UTF-8) into that text.
 *
 * A text nested too deeply overflows the stack inside the module and leaves the instance unusable for good, so
 * nothing reaches Cedar that `tooDeep` (source.ts) has not passed.
 */
import { readFileSync } from "node:fs";
import { zstdDecompressSync } from "node:zlib";
import {
  type DetailedError,
  initSync,
  type PolicyJson,
  policySetTextToParts,
  policyToJson,
  preparsePolicySet,
  preparseSchema,
  type StatefulAuthorizationCall,
  statefulIsAuthorized,
  validate,
} from "@cedar-policy/cedar-wasm/web";
// The package exports no path to its .wasm, hence the way through node_modules.
// @ts-expect-error: the .d.ts beside the file describes the module inside, not the path that `type: "file"` gives
import embeddedWasm from "../../node_modules/@cedar-policy/cedar-wasm/web/cedar_wasm_bg.wasm" with {
  type: "file",
};
import schema from "../../policies/schema.cedarschema" with { type: "text" };

export type { PolicyJson };

/** Something Cedar refuses. */
export interface Fault {
  readonly message: string;
  readonly help: string | undefined;
  /** Byte offset into the text; undefined when Cedar gives no place. */
  readonly at: number | undefined;
}

const wasmPath: string = embeddedWasm;
/** What every zstd frame begins with. */
const ZSTD_MAGIC = 0xfd2fb528;
const SCHEMA_NAME = "sms-agent";
let started = false;

/** Compiles the module ahead of its first use without holding up the caller (about 60 ms on another thread). */
export async function prepareCedar(): Promise<void> {
  if (started) return;
  const module = await WebAssembly.compile(wasmBytes());
  start(module);
}

/** The module itself; inside the binary it lies compressed by zstd (deploy/build.ts). */
function wasmBytes() {
  const bytes = readFileSync(wasmPath);
  return bytes.readUInt32LE() === ZSTD_MAGIC ? zstdDecompressSync(bytes) : bytes;
}

function start(module?: WebAssembly.Module): void {
  if (started) return;
  initSync({ module: module ?? new WebAssembly.Module(wasmBytes()) });
  const answer = preparseSchema(SCHEMA_NAME, schema);
  if (answer.type === "failure") throw new Error(`The policy schema is broken: ${answer.errors[0]?.message}`);
  started = true;
}

/** One policy, parsed. Fails for anything but exactly one static policy. */
export function parsePolicy(text: string): PolicyJson | readonly Fault[] {
  start();
  const answer = policyToJson(text);
  return answer.type === "success" ? answer.json : answer.errors.flatMap(faults);
}

/** How many policies (templates included) Cedar finds in a whole file. */
export function countPolicies(text: string): number | readonly Fault[] {
  start();
  const answer = policySetTextToParts(text);
  if (answer.type === "failure") return answer.errors.flatMap(faults);
  return answer.policies.length + answer.policy_templates.length;
}

export interface Validation {
  readonly errors: readonly (readonly [key: string, fault: Fault])[];
  readonly warnings: readonly (readonly [key: string, fault: Fault])[];
}

/** Strict validation of policies that parse, each under a key of the caller's. */
export function validatePolicies(texts: ReadonlyMap<string, string>): Validation {
  start();
  const answer = validate({ schema, policies: { staticPolicies: Object.fromEntries(texts) } });
  if (answer.type === "failure") throw new Error(answer.errors.map((error) => error.message).join("; "));
  const keyed = (found: readonly { policyId: string; error: DetailedError }[]) =>
    found.flatMap(({ policyId, error }) => faults(error).map((fault) => [policyId, fault] as const));
  return { errors: keyed(answer.validationErrors), warnings: keyed(answer.validationWarnings) };
}

/** A request against a prepared set. */
export type Request = Omit<
  StatefulAuthorizationCall,
  "preparsedSchemaName" | "preparsedPolicySetId" | "validateRequest"
>;

export interface Answer {
  readonly decision: "allow" | "deny";
  readonly reason: readonly string[];
  readonly errors: readonly { readonly policyId: string; readonly message: string }[];
}

/** A policy set that can be asked. */
export interface Prepared {
  /** Throws when the request itself is refused. */
  ask(request: Request): Answer;
}

/**
 * Cedar keeps prepared sets by name and never drops one, so there are two names, used in turn. That is enough
 * for the current set and its successor; a set that has lost its place is prepared again when it is asked.
 */
const places: [Prepared | undefined, Prepared | undefined] = [undefined, undefined];
let nextPlace: 0 | 1 = 0;

/** Prepares policies, keyed by id, that have been validated. */
export function preparePolicies(texts: ReadonlyMap<string, string>): Prepared {
  start();
  const staticPolicies = Object.fromEntries(texts);
  let place: 0 | 1 = 0;
  const take = () => {
    place = nextPlace;
    const answer = preparsePolicySet(`${place}`, { staticPolicies });
    if (answer.type === "failure") throw new Error(answer.errors.map((error) => error.message).join("; "));
    places[place] = prepared;
    nextPlace = place === 0 ? 1 : 0;
  };
  const prepared: Prepared = {
    ask(request) {
      if (places[place] !== prepared) take();
      const answer = statefulIsAuthorized({
        ...request,
        preparsedSchemaName: SCHEMA_NAME,
        preparsedPolicySetId: `${place}`,
        validateRequest: true,
      });
      if (answer.type === "failure") throw new Error(answer.errors.map((error) => error.message).join("; "));
      const { decision, diagnostics } = answer.response;
      return {
        decision,
        reason: diagnostics.reason,
        errors: diagnostics.errors.map(({ policyId, error }) => ({ policyId, message: error.message })),
      };
    },
  };
  take();
  return prepared;
}

function faults(error: DetailedError): Fault[] {
  const place = error.sourceLocations?.[0];
  const expected = place?.label ? `, ${place.label}` : "";
  const own = {
    message: `${withoutId(error.message)}${expected}`,
    help: error.help === null ? undefined : withoutId(error.help),
    at: place?.start,
  };
  return [own, ...(error.related ?? []).flatMap(faults)];
}

/** Cedar's sentences begin with the key the policy was given; ours name the policy themselves. */
function withoutId(message: string): string {
  return message.replace(
    /^(for policy `[^`]*`, |failed to parse polic(y|ies)( with id `[^`]*`)? from string: )+/,
    "",
  );
}
