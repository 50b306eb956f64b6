import type { PolicyProblem } from "../policy.ts";
import { type Fault, type PolicyJson, parsePolicy, validatePolicies } from "./cedar.ts";
import { DEFAULT_POLICIES } from "./defaults.ts";
import { explain } from "./explain.ts";
import { member } from "./expression.ts";
import { RESERVED_PREFIXES } from "./generated.ts";
import { type Misnomer, misnomers } from "./names.ts";
import { type Candidate, type Finding, isFaults, placeIn, problemAt } from "./parse.ts";
import type { PolicySettings } from "./settings.ts";
import { type Piece, positionOf, writtenUids } from "./source.ts";

/** Missing, malformed, reserved and repeated ids. */
export function checkIds(candidates: readonly Candidate[]): PolicyProblem[] {
  const first = new Map<string, Candidate>();
  return candidates.flatMap((candidate) => {
    const finding = checkId(candidate.id, first.get(candidate.id));
    if (!first.has(candidate.id)) first.set(candidate.id, candidate);
    return finding === undefined
      ? []
      : [problemAt(candidate.file, candidate.piece.at, finding, candidate.id)];
  });
}

function checkId(id: string, earlier: Candidate | undefined): Finding | undefined {
  if (id.trim() === "")
    return {
      message: "the policy has no name",
      fix: 'Begin it with an annotation of your choice, for example @id("block-22000").',
    };
  if (/^\s|\s$|\p{Cc}/u.test(id))
    return {
      message: "the @id begins or ends with a space or holds a control character",
      fix: `Write @id(${JSON.stringify(id.replace(/\p{Cc}/gu, "").trim())}).`,
    };
  if (RESERVED_PREFIXES.some((prefix) => id.startsWith(prefix)))
    return {
      message: "this @id belongs to a policy that is made from allowed_senders or allow_all_senders",
      fix: `Choose an @id that does not begin with ${RESERVED_PREFIXES.join(" or ")}, or change the channel in sms.yaml.`,
    };
  if (earlier === undefined) return undefined;
  const { line } = positionOf(earlier.file.text, earlier.piece.at);
  return {
    message: `the @id is taken by the policy at ${earlier.file.path}:${line}`,
    fix: "Give each policy an @id of its own, or delete one of the two.",
  };
}

/** Names that name nothing, and everything Cedar's strict validation finds. */
export function checkContent(candidates: readonly Candidate[], settings: PolicySettings): PolicyProblem[] {
  const misnamed = candidates.map(({ json }) => misnomers(json, settings));
  const { errors, warnings } = validatePolicies(
    new Map(candidates.map(({ piece }, index) => [String(index), piece.text])),
  );
  return candidates.flatMap((candidate, index) => {
    const { file, piece, id } = candidate;
    const of = (found: typeof errors) =>
      found.flatMap(([key, fault]) => (key === String(index) ? [fault] : []));
    const found = [
      ...(misnamed[index] ?? []).map((misnomer) => [placeOf(misnomer, piece), misnomer] as const),
      ...merged(piece, of(errors)),
    ];
    // Warnings say that something never matches. After an error they would only repeat it.
    if (found.length === 0)
      found.push(
        ...merged(
          piece,
          of(warnings).filter((fault) => matters(fault, candidate)),
        ),
      );
    return found.map(([at, finding]) => problemAt(file, at, finding, id));
  });
}

/** Not the contradiction of a policy that switches a default off, nor the script of a name that is configured. */
function matters(fault: Fault, { id, json }: Candidate): boolean {
  if (/^identifier `/.test(fault.message)) return false;
  return !(Object.hasOwn(DEFAULT_POLICIES, id) && /impossible/.test(fault.message) && isSwitchedOff(json));
}

/** `when { false }` and nothing else. */
function isSwitchedOff({ conditions }: PolicyJson): boolean {
  const [only, ...more] = conditions;
  return only?.kind === "when" && member(only.body, "Value") === false && more.length === 0;
}

/** One finding for each place: Cedar reports a wrong attribute once for every type of resource. */
function merged(piece: Piece, faults: readonly Fault[]): (readonly [at: number, finding: Finding])[] {
  const places = new Map<number, Finding[]>();
  for (const fault of faults) {
    const at = placeIn(piece, fault);
    places.set(at, [...(places.get(at) ?? []), explain(fault)]);
  }
  return Array.from(places, ([at, findings]) => {
    const messages = new Set(findings.map(({ message }) => message).sort());
    const fixes = new Set(findings.map(({ fix }) => fix).sort());
    return [at, { message: [...messages].join("; "), fix: [...fixes].join(" ") }];
  });
}

/** Where a misnomer stands in the file; the policy's begin when its text is written in an unusual way. */
function placeOf({ uid, value }: Misnomer, piece: Piece): number {
  if (uid === undefined) {
    const token = piece.tokens.find(({ text }) => text === value || text === JSON.stringify(value));
    return token?.at ?? piece.at;
  }
  const written = writtenUids(piece).find(({ text }) => {
    // Cedar itself reads the literal, escapes and all.
    const json = parsePolicy(`permit (principal == ${text}, action, resource);`);
    if (isFaults(json)) return false;
    const entity = member(json.principal, "entity");
    return member(entity, "type") === uid.type && member(entity, "id") === uid.id;
  });
  return written?.at ?? piece.at;
}
