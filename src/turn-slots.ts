/** Turns that run at the same time, those of all agents together. */
export const TURN_SLOTS = 128;

/** How many slots each agent holds; one that is not named holds none. */
export type HeldSlots = ReadonlyMap<string, number>;

/**
 * An agent takes another slot only while it holds fewer than are free. So one alone has half of them, and leaves the
 * other half: beside one that hangs with 64, the next has 32, and the next after that 16. Where many are busy they come
 * to hold equally many. Seven that hang leave one slot to all others; only eight leave none.
 */
export function mayTakeSlot(held: number, free: number): boolean {
  return held < free;
}

/** The most slots that an agent could take now, were it the only one to take any. */
export function slotsLeftFor(held: number, free: number): number {
  return Math.max(0, Math.ceil((free - held) / 2));
}

export interface TurnSlots {
  held(): HeldSlots;
  /** Agents that can take none now. */
  full(): readonly string[];
  /** Runs the work in a slot of the agent. */
  during<T>(agent: string, work: () => Promise<T>): Promise<T>;
}

/** The slots of this process. */
export function createTurnSlots(): TurnSlots {
  const held = new Map<string, number>();
  let taken = 0;

  function change(agent: string, by: 1 | -1): void {
    const now = (held.get(agent) ?? 0) + by;
    if (now === 0) held.delete(agent);
    else held.set(agent, now);
    taken += by;
  }

  return {
    held: () => new Map(held),
    full: () => [...held].flatMap(([agent, own]) => (mayTakeSlot(own, TURN_SLOTS - taken) ? [] : [agent])),
    async during(agent, work) {
      change(agent, 1);
      try {
        return await work();
      } finally {
        change(agent, -1);
      }
    },
  };
}
