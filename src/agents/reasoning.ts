const TAG = "think|thinking|thought|reasoning";

/**
 * What a model says, without what it thinks aloud. Reasoning models served without a reasoning parser put
 * their thoughts into the answer: as `<think>…</think>` (Mistral's `[THINK]…[/THINK]`); with the closing tag
 * alone where the prompt template has written the opening one; without it where the tokens ran out.
 */
export function spokenPart(text: string): string {
  return text
    .replace(/\[(\/?)THINK\]/g, "<$1think>")
    .replace(new RegExp(`<(${TAG})>[\\s\\S]*?(</\\1>|$)`, "gi"), "")
    .replace(new RegExp(`^[\\s\\S]*</(${TAG})>`, "i"), "")
    .trim();
}
