import type { LanguageModelV4FunctionTool } from "@ai-sdk/provider";
import type { Completion } from "./completion.ts";

/**
 * How a model says nothing. A call can be told from every answer, which a word that stands for silence cannot; and an
 * empty answer is what broken models give. It does nothing outside, so no policy is asked and it is not journalled.
 */
export const STAY_SILENT = "stay_silent";

export const SILENCE: LanguageModelV4FunctionTool = {
  type: "function",
  name: STAY_SILENT,
  description:
    "Ends this turn without any answer: nothing is sent to the person. Call it alone, and only when an answer would " +
    "tell them nothing, such as after a mere thank you, or when you were asked to write only if there is news and " +
    "there is none. A question or a request always gets an answer.",
  inputSchema: { type: "object", properties: {}, additionalProperties: false },
};

/** Told where it was called beside other tools, whose outcome may be worth an answer. */
export const NOT_YET_SILENT =
  "Not yet: see what the other calls gave first. Then answer the person, or call stay_silent alone.";

/** True when the model has chosen to say nothing: its only call is this one, whatever it wrote beside it. */
export function choosesSilence({ parts }: Completion): boolean {
  const calls = parts.filter((part) => part.type === "call");
  return calls.length === 1 && calls[0]?.tool === STAY_SILENT;
}
