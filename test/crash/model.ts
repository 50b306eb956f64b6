import { z } from "zod";
import { numbersIn, textOf } from "./accounts.ts";
import type { Dice } from "./dice.ts";

/** What the model was told of its call of `remind` for a text. */
export type ReminderOutcome = "set" | "unknown" | "not set";

/** A language model that sets a reminder for every text and then answers with the text. */
export interface Model {
  /** The reminders it asked for, by the number of the text. */
  readonly reminders: ReadonlyMap<number, ReminderOutcome>;
  /** Answers a request for a chat completion. */
  complete(request: Request): Promise<Response>;
}

const Body = z.object({
  model: z.string(),
  messages: z.array(
    z.object({ role: z.string(), content: z.unknown(), tool_calls: z.array(z.unknown()).optional() }),
  ),
});

export function reminderOf(number: number): string {
  return `Reminder ~${number}~`;
}

export function remindersIn(text: string): readonly number[] {
  return [...text.matchAll(/~(\d+)~/g)].map((match) => Number(match[1]));
}

export function createModel(dice: Dice): Model {
  const reminders = new Map<number, ReminderOutcome>();
  /** Which texts came together first: those of one turn. */
  const turns = new Map<number, number>();
  let turnCount = 0;
  let serial = 0;

  function answer(model: string, message: Readonly<Record<string, unknown>>, finish: string): Response {
    serial += 1;
    return Response.json({
      id: `chatcmpl-${serial}`,
      object: "chat.completion",
      created: 1_760_000_000,
      model,
      choices: [{ index: 0, message: { role: "assistant", ...message }, finish_reason: finish }],
      usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
    });
  }

  return {
    reminders,
    async complete(request) {
      const { model, messages } = Body.parse(await request.json());
      const results = messages.slice(messages.findLastIndex(({ role }) => role === "user") + 1);
      const result = results.findLast(({ role }) => role === "tool");
      const asked = messages.slice(0, messages.length - results.length);
      const since = asked.findLastIndex(({ role }) => role === "assistant") + 1;
      const words = asked.slice(since).map(({ content }) => JSON.stringify(content));
      const seen = numbersIn(words.join("\n"));
      // A reply whose fate is not known is not in the history, so texts that were answered may be among these.
      const turn = turns.get(seen.at(-1) ?? 0) ?? ++turnCount;
      for (const number of seen) if (!turns.has(number)) turns.set(number, turn);
      const numbers = seen.filter((number) => turns.get(number) === turn);
      const number = numbers[0] ?? 0;
      if (result !== undefined) {
        const told = JSON.stringify(result.content);
        const outcome = /Outcome unknown/.test(told) ? "unknown" : /rem_/.test(told) ? "set" : "not set";
        reminders.set(number, outcome);
        return answer(model, { content: numbers.map(textOf).join(" ") }, "stop");
      }
      const at = new Date(Date.now() + dice.between(3_000, 25_000)).toISOString();
      const call = { name: "remind", arguments: JSON.stringify({ text: reminderOf(number), at }) };
      const toolCall = { id: `call_${number}`, type: "function", function: call };
      return answer(model, { content: null, tool_calls: [toolCall] }, "tool_calls");
    },
  };
}
