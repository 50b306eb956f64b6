import { CliError, EXIT } from "./exit.ts";

/** What a person is asked at a terminal; tests answer instead. Rejects with CliError when they give up. */
export interface Questions {
  text(question: TextQuestion): Promise<string>;
  /** Not shown while it is typed. */
  secret(question: TextQuestion): Promise<string>;
  choose<Value extends string>(message: string, options: readonly Option<Value>[]): Promise<Value>;
  /** Yes or no; `initial` is what Enter alone says, yes unless given. */
  confirm(message: string, initial?: boolean): Promise<boolean>;
  /** Said, not asked. */
  tell(message: string): void;
}

export interface TextQuestion {
  readonly message: string;
  readonly initial?: string;
  readonly placeholder?: string;
  /** What is wrong with an answer; undefined for a good one. */
  readonly check?: (answer: string) => string | undefined;
}

export interface Option<Value extends string> {
  readonly value: Value;
  readonly label: string;
  readonly hint?: string;
}

/** Asks at the terminal. The library is loaded only for whoever is asked. */
export async function terminalQuestions(): Promise<Questions> {
  const { text, password, select, confirm, log } = await import("@clack/prompts");
  /** Ctrl-C and Escape come as a symbol. */
  const answered = <Value>(answer: Value): Exclude<Value, symbol> => {
    if (typeof answer === "symbol") throw new CliError(EXIT.failed, "Nothing was written.");
    return answer as Exclude<Value, symbol>;
  };
  return {
    async text({ message, initial, placeholder, check }) {
      const answer = await text({
        message,
        ...(initial === undefined ? {} : { initialValue: initial }),
        ...(placeholder === undefined ? {} : { placeholder }),
        validate: (value) => check?.((value ?? "").trim()),
      });
      return answered(answer).trim();
    },
    async secret({ message, check }) {
      const answer = await password({ message, validate: (value) => check?.((value ?? "").trim()) });
      return answered(answer).trim();
    },
    async choose(message, options) {
      const answer = await select<string>({ message, options: options.map((option) => ({ ...option })) });
      const chosen = answered(answer);
      const found = options.find(({ value }) => value === chosen);
      if (found === undefined) throw new CliError(EXIT.failed, "Nothing was written.");
      return found.value;
    },
    async confirm(message, initial = true) {
      return answered(await confirm({ message, initialValue: initial }));
    },
    tell: (message) => log.message(message),
  };
}
