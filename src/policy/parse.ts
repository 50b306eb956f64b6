import type { PolicyProblem } from "../policy.ts";
import { countPolicies, type Fault, type PolicyJson, parsePolicy } from "./cedar.ts";
import { explain } from "./explain.ts";
import { indexOfByte, type Piece, positionOf, splitPolicies, tooDeep, writtenId } from "./source.ts";

/** A file of the policies folder. `path` is how problems and `policy list` name it. */
export interface PolicyFile {
  readonly path: string;
  readonly text: string;
}

/** A policy of a file that parses. */
export interface Candidate {
  readonly file: PolicyFile;
  readonly piece: Piece;
  /** The value of its `@id`; without that annotation its file and position, such as `house.cedar:3:1`. */
  readonly id: string;
  readonly json: PolicyJson;
}

/** What is wrong, and what to write instead. */
export interface Finding {
  readonly message: string;
  readonly fix: string;
}

/** Characters; Cedar's stack and time grow with a text, and nobody writes this much by hand. */
const MAX_FILE = 512 * 1024;

const TOO_LARGE: Finding = {
  message: `the file has more than ${MAX_FILE} characters`,
  fix: "Split it, or check that it is a policy file at all.",
};
const TOO_DEEP: Finding = {
  message: "the policy is nested too deeply, or chained too long, to be evaluated safely",
  fix: 'Split it, or write a list as a set: ["+15551234567", "22000"].contains(resource.sender.address).',
};
const NO_COMMENT: Finding = {
  message: "Cedar has no comments of the form /* … */",
  fix: "Begin each line of the comment with //.",
};
const UNCLEAR: Finding = {
  message: "it is not clear where the policies of this file begin and end",
  fix: "Put every policy into a file of its own.",
};

/** Splits a file into policies and parses each, so that one broken policy does not hide what ails the next. */
export function parseFile({ path, text: raw }: PolicyFile): {
  readonly candidates: readonly Candidate[];
  readonly problems: readonly PolicyProblem[];
} {
  const file = { path, text: raw.replace(/^\uFEFF/, "") };
  if (file.text.length > MAX_FILE) return { candidates: [], problems: [problemAt(file, 0, TOO_LARGE)] };
  const problems: PolicyProblem[] = [];
  const candidates: Candidate[] = [];
  const pieces = splitPolicies(file.text);
  for (const piece of pieces) {
    const id = writtenId(piece);
    if (tooDeep(piece)) {
      problems.push(problemAt(file, piece.at, TOO_DEEP, id));
      continue;
    }
    const comment = piece.tokens.find(
      ({ text, at }, index) =>
        text === "/" && piece.tokens[index + 1]?.text === "*" && file.text[at + 1] === "*",
    );
    if (comment !== undefined) {
      problems.push(problemAt(file, comment.at, NO_COMMENT, id));
      continue;
    }
    const json = parsePolicy(piece.text);
    if (!isFaults(json)) candidates.push({ file, piece, id: idOf(json, file, piece), json });
    else for (const fault of json) problems.push(problemAt(file, placeIn(piece, fault), explain(fault), id));
  }
  if (problems.length > 0) return { candidates, problems };
  // Our split and Cedar's must agree, or a policy could be lost without a word.
  const count = countPolicies(file.text);
  if (isFaults(count))
    for (const fault of count)
      problems.push(problemAt(file, indexOfByte(file.text, fault.at ?? 0), explain(fault)));
  else if (count !== pieces.length) problems.push(problemAt(file, 0, UNCLEAR));
  return { candidates, problems };
}

/** `@id` without a value is "", which is refused: whoever wrote it wanted a name. */
function idOf({ annotations }: PolicyJson, file: PolicyFile, piece: Piece): string {
  if (annotations !== undefined && Object.hasOwn(annotations, "id")) return annotations.id ?? "";
  const { line, column } = positionOf(file.text, piece.at);
  return `${file.path.replace(/^.*[\\/]/, "")}:${line}:${column}`;
}

export function isFaults(parsed: PolicyJson | number | readonly Fault[]): parsed is readonly Fault[] {
  return Array.isArray(parsed);
}

/** Where a fault of one policy lies in its file. */
export function placeIn(piece: Piece, fault: Fault): number {
  return piece.at + indexOfByte(piece.text, fault.at ?? 0);
}

export function problemAt(
  file: PolicyFile,
  index: number,
  { message, fix }: Finding,
  policyId?: string,
): PolicyProblem {
  const id = policyId === undefined || policyId.trim() === "" ? {} : { policyId };
  return { file: file.path, ...positionOf(file.text, index), ...id, message, fix };
}
