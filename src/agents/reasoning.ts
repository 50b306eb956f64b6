const THOUGHT = "think|thinking|thought|reasoning";
const CALL = "tool_calls?|tool_response|tool_results?|function_calls?|function_results?";

/**
 * What a model says, without what it thinks aloud and without calls of tools it wrote as text.
 *
 * Reasoning models served without a reasoning parser put their thoughts into the answer: as
 * `<think>…</think>` (Mistral's `[THINK]…[/THINK]`); with the closing tag alone where the prompt template has
 * written the opening one; without it where the tokens ran out. Models served without a parser for tool calls
 * do the same with those, each family in its own markup.
 */
export function spokenPart(text: string): string {
  return withoutCalls(finalChannel(text))
    .replace(/\[(\/?)THINK\]/g, "<$1think>")
    .replace(new RegExp(`<(${THOUGHT})>[\\s\\S]*?(</\\1>|$)`, "gi"), "")
    .replace(new RegExp(`^[\\s\\S]*</(${THOUGHT})>`, "i"), "")
    .replace(/<[|｜][a-z0-9_▁]{1,40}[|｜]>/gi, "") // what is left of a chat template's special tokens
    .trim();
}

/** gpt-oss (https://github.com/openai/harmony): thoughts, calls and the answer go through named channels. */
function finalChannel(text: string): string {
  const channels = text.split("<|channel|>");
  if (channels.length === 1) return text;
  const final = channels.findLast((channel) => /^\s*final\b/.test(channel));
  return final === undefined ? (channels[0] ?? "") : final.replace(/^[\s\S]*?(<\|message\|>|$)/, "");
}

function withoutCalls(text: string): string {
  return (
    text
      .replace(new RegExp(`<(${CALL})\\b[^<>]*>[\\s\\S]*?(</\\1>|$)`, "gi"), "")
      .replace(/<function=[^<>]*>[\s\S]*?(<\/function>|$)/gi, "")
      .replace(/<invoke\s+name=[^<>]*>[\s\S]*?(<\/invoke>|$)/gi, "")
      // Kimi's and DeepSeek's tokens; what they enclose ends with the last of them, or not at all
      .replace(/<[|｜]tool[_▁]calls?[\s\S]*<[|｜]tool[_▁][a-z_▁]*end[|｜]>/gi, "")
      .replace(/<[|｜]tool[_▁]calls?[\s\S]*$/gi, "")
      .replace(/(\[TOOL_CALLS\]|<\|python_tag\|>|<\|tool_call\|>)[\s\S]*$/g, "")
  );
}

/**
 * True for an answer that is nothing but a call written as JSON, `{"name": "…", "parameters": {…}}`, or as a bare
 * name, `stay_silent` or `stay_silent()`, as small models write it.
 */
export function isCallText(text: string, toolNames: ReadonlySet<string>): boolean {
  if (toolNames.has(text.replace(/\s*\(\s*\)$/, ""))) return true;
  const json = text.replace(/^```(?:json)?\s*|\s*```$/g, "");
  if (!json.startsWith("{")) return false;
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return false;
  }
  if (typeof value !== "object" || value === null || !("name" in value)) return false;
  const named = typeof value.name === "string" && toolNames.has(value.name);
  return named && ("parameters" in value || "arguments" in value);
}
