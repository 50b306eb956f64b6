import { type Document, type ParsedNode, parseDocument, type YAMLError } from "yaml";

/** A stretch of the text: offsets in UTF-16 units, the end not included. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

interface SyntaxProblem {
  readonly span: Span;
  readonly message: string;
  readonly fix: string;
}

/** YAML text parsed as far as the parser goes. */
export interface ParsedYaml {
  /** Undefined when nothing could be made of the text. */
  readonly document: Document.Parsed<ParsedNode> | undefined;
  readonly problems: readonly SyntaxProblem[];
  /** Line and column, both from 1, of an offset. */
  position(offset: number): { readonly line: number; readonly column: number };
  /** Gives a string of the document its `${…}` back; see `hideReferences`. */
  reveal(text: string): string;
}

/** A configuration is written by hand; anything longer is not one. */
const MAX_LENGTH = 1_000_000;

/**
 * Parses without ever throwing. `text` must not begin with a byte order mark. Problems quote nothing of the
 * text, for it may hold secrets.
 */
export function parseYaml(text: string): ParsedYaml {
  const position = positions(text);
  const refused = (start: number, message: string, fix: string): ParsedYaml => ({
    document: undefined,
    problems: [{ span: { start, end: start + 1 }, message, fix }],
    position,
    reveal,
  });
  if (text.length > MAX_LENGTH) {
    return refused(
      0,
      "is longer than a million characters",
      "write a file that holds the configuration alone",
    );
  }
  const strange = text.search(FORBIDDEN);
  if (strange >= 0) {
    const code = text.charCodeAt(strange).toString(16).toUpperCase().padStart(4, "0");
    return refused(
      strange,
      `holds the character U+${code}, which is no text`,
      "write the file as plain UTF-8 text",
    );
  }
  try {
    const document = parseDocument(hideReferences(text), {
      prettyErrors: false, // they quote the text
      uniqueKeys: false, // reported with the key's name by the reader of the tree
      resolveKnownTags: false,
      logLevel: "error",
    });
    const problems = [...document.errors, ...document.warnings].map(explain);
    return { document, problems, position, reveal };
  } catch {
    return refused(0, "cannot be read as YAML: it is nested too deeply", "write it with less nesting");
  }
}

function positions(text: string): ParsedYaml["position"] {
  const starts = [0];
  for (let i = text.indexOf("\n"); i >= 0; i = text.indexOf("\n", i + 1)) starts.push(i + 1);
  return (offset) => {
    let low = 0;
    let high = starts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
  };
}

/**
 * In a flow map (`{ secret: ${HOOK_SECRET} }`) YAML takes the braces of `${…}` for its own. Each indicator
 * inside a reference is therefore replaced by a character that is never text, one for one, so that all
 * offsets stay true.
 */
function hideReferences(text: string): string {
  return text.replace(/\$\{[^{}"'\r\n]*\}/g, (reference) =>
    reference.replace(/[{}[\],#:]/g, (indicator) =>
      String.fromCharCode(FIRST_STAND_IN + INDICATORS.indexOf(indicator)),
    ),
  );
}

function reveal(text: string): string {
  return text.replace(STAND_INS, (c) => INDICATORS[c.charCodeAt(0) - FIRST_STAND_IN] ?? "");
}

const INDICATORS = "{}[],#:";
/** Unicode's noncharacters U+FDD0–U+FDEF are for a program's own use. */
const FIRST_STAND_IN = 0xfdd0;
const STAND_INS = /[\uFDD0-\uFDD6]/g;
/** What YAML 1.2 allows in a text, less the stand-ins. */
const FORBIDDEN = /[^\t\n\r\x20-\x7E\x85\xA0-\uFDCF\uFDF0-\uFFFD]/;

function explain(error: YAMLError): SyntaxProblem {
  const [start, end] = error.pos;
  return { span: { start, end }, ...explanation(error) };
}

/** Only the messages of the two first kinds are the parser's own: those never quote the text. */
function explanation({ code, message }: YAMLError): { message: string; fix: string } {
  switch (code) {
    case "MISSING_CHAR":
      return {
        message: `is not valid YAML here: ${message}`,
        fix: "write the missing character, or quote the whole value",
      };
    case "BAD_INDENT":
      return {
        message: `is not indented as YAML needs it: ${message}`,
        fix: "write all keys of one map, and all items of one list, in the same column",
      };
    case "TAB_AS_INDENT":
      return { message: "is indented with a tab", fix: "write spaces" };
    case "BAD_SCALAR_START":
      return { message: "begins with a character that YAML reserves", fix: 'write the value in "quotes"' };
    case "BLOCK_AS_IMPLICIT_KEY":
    case "MULTILINE_IMPLICIT_KEY":
      return {
        message: "has a second `key:` where only a value may stand",
        fix: 'write the value in "quotes" if it holds a colon, or indent the keys below it',
      };
    case "BLOCK_IN_FLOW":
      return {
        message: "mixes indented lines into { … } or [ … ]",
        fix: "write the whole map or list in one of the two forms",
      };
    case "MULTIPLE_DOCS":
      return { message: "holds a second document after --- or ...", fix: "write one document in the file" };
    case "BAD_DQ_ESCAPE":
      return {
        message: 'has a backslash in "quotes" that escapes nothing',
        fix: "write \\\\ for a backslash, or use 'single quotes'",
      };
    case "TAG_RESOLVE_FAILED":
    case "BAD_COLLECTION_TYPE":
    case "MULTIPLE_TAGS":
      return {
        message: "has a tag (!…) that is not known here",
        fix: 'write the value without it, or in "quotes" if it begins with !',
      };
    case "BAD_ALIAS":
    case "ALIAS_PROPS":
    case "MULTIPLE_ANCHORS":
    case "BAD_PROP_ORDER":
      return {
        message: "has an anchor (&…) or alias (*…) that YAML does not allow here",
        fix: 'write the value in "quotes" if it begins with & or *',
      };
    case "RESOURCE_EXHAUSTION":
      return { message: "is nested too deeply", fix: "write it with less nesting" };
    case "BAD_DIRECTIVE":
      return { message: "has a % directive that is not known", fix: "write the file without it" };
    default:
      return {
        message: "is not valid YAML here",
        fix: 'write `key: value`, and the value in "quotes" if it holds any of { } [ ] , & * # ? | - < > = ! % @ : "',
      };
  }
}
