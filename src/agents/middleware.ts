import type { LanguageModelMiddleware } from "ai";
import { spokenPart } from "./reasoning.ts";

type WrapGenerate = NonNullable<LanguageModelMiddleware["wrapGenerate"]>;
type Generated = Awaited<ReturnType<WrapGenerate>>;

export interface MiddlewareOptions {
  /** An answer that came, but is no completion. */
  readonly isMalformed: (error: unknown) => boolean;
  readonly onRetry: (reason: "empty" | "malformed") => void;
  /** Told of every completion, those thrown away included: all are paid for. */
  readonly onUsage: (usage: { readonly inputTokens: number; readonly outputTokens: number }) => void;
}

/**
 * Stands around every call of a model: takes its thoughts out of what it says, and asks once more where it
 * answered nothing or nonsense, as small and overloaded models do.
 */
export function answerMiddleware(options: MiddlewareOptions): LanguageModelMiddleware {
  return {
    async wrapGenerate({ doGenerate }) {
      const ask = async () => {
        const generated = spoken(await doGenerate());
        const { inputTokens, outputTokens } = generated.usage;
        options.onUsage({ inputTokens: inputTokens.total ?? 0, outputTokens: outputTokens.total ?? 0 });
        return generated;
      };
      try {
        const first = await ask();
        if (says(first)) return first;
        options.onRetry("empty");
      } catch (error) {
        if (!options.isMalformed(error)) throw error;
        options.onRetry("malformed");
      }
      return ask();
    },
  };
}

function spoken(generated: Generated): Generated {
  const content = generated.content.map((part) =>
    part.type === "text" ? { ...part, text: spokenPart(part.text) } : part,
  );
  return { ...generated, content: content.filter((part) => part.type !== "text" || part.text !== "") };
}

function says(generated: Generated): boolean {
  return generated.content.some((part) => part.type === "text" || part.type === "tool-call");
}
