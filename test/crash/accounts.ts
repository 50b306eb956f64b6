/** Who texted what, what the carrier delivered, and what the service says: one text is one number `#17#`. */
export interface Books {
  /** The numbers of the texts that each phone sent. */
  readonly sent: ReadonlyMap<string, readonly number[]>;
  /** The texts that reached each phone. */
  readonly received: ReadonlyMap<string, readonly string[]>;
  /** Every outbound message of the service. */
  readonly outbound: readonly { readonly to: string; readonly state: string; readonly text: string }[];
}

/** Every text is in exactly one of these; numbers are texts of phones. */
export interface Accounts {
  readonly sent: number;
  readonly answered: number;
  /** The send of the answer was cut: whether it arrived cannot be told, and it is not repeated. */
  readonly cut: number;
  /** The answer waits behind a cut one to the same phone, so that the order is kept. */
  readonly behindCut: number;
  /** Neither answered nor on its way. */
  readonly missing: readonly number[];
  /** Answered more than once, or about to be. */
  readonly doubled: readonly number[];
  /** Answered on another phone than the one that asked. */
  readonly astray: readonly number[];
}

export function balance({ sent, received, outbound }: Books): Accounts {
  const missing: number[] = [];
  const doubled: number[] = [];
  const astray: number[] = [];
  let [all, answered, cut, behindCut] = [0, 0, 0, 0];
  for (const [phone, numbers] of sent) {
    const arrived = count((received.get(phone) ?? []).flatMap(numbersIn));
    const own = outbound.filter(({ to }) => to === phone);
    const inState = (...states: readonly string[]) =>
      new Set(own.filter(({ state }) => states.includes(state)).flatMap(({ text }) => numbersIn(text)));
    const written = count(own.flatMap(({ text }) => numbersIn(text)));
    const unknown = inState("unknown");
    const waiting = inState("pending");
    for (const number of numbers) {
      all += 1;
      const times = arrived.get(number) ?? 0;
      if (times > 1 || (written.get(number) ?? 0) > 1) doubled.push(number);
      if (times > 0) answered += 1;
      else if (unknown.has(number)) cut += 1;
      else if (waiting.has(number) && unknown.size > 0) behindCut += 1;
      else missing.push(number);
    }
    const asked = new Set(numbers);
    for (const number of arrived.keys()) if (!asked.has(number)) astray.push(number);
  }
  return { sent: all, answered, cut, behindCut, missing, doubled, astray };
}

export function textOf(number: number): string {
  return `#${number}#`;
}

function numbersIn(text: string): readonly number[] {
  return [...text.matchAll(/#(\d+)#/g)].map((match) => Number(match[1]));
}

function count(numbers: readonly number[]): ReadonlyMap<number, number> {
  const times = new Map<number, number>();
  for (const number of numbers) times.set(number, (times.get(number) ?? 0) + 1);
  return times;
}
