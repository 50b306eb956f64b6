import type { ServiceEvent } from "./event.ts";

/** What came of telling some events. */
export interface Told<Outcome> {
  /** Positions of those that were taken. */
  readonly taken: ReadonlySet<number>;
  /** The first that was not. */
  readonly failure?: { readonly event: ServiceEvent; readonly outcome: Outcome };
}

export interface TellOptions<Outcome> {
  /** Most events told at the same time. */
  readonly most: number;
  /** The first event is told alone, to find out whether anybody takes it. */
  readonly probe: boolean;
  /** Undefined when it was taken. */
  tell(event: ServiceEvent): Promise<Outcome | undefined>;
  /** False: begin no other. */
  goOn(): boolean;
}

/**
 * Tells several events at the same time, those of one lane one after the other in their order. After a failure no other
 * is begun. Resolves when none is under way.
 */
export async function tellInLanes<Outcome>(
  events: readonly ServiceEvent[],
  { most, probe, tell, goOn }: TellOptions<Outcome>,
): Promise<Told<Outcome>> {
  const taken = new Set<number>();
  const waiting = [...events];
  const busy = new Set<string>();
  let failure: Told<Outcome>["failure"];

  /** The oldest that waits for no other of its lane. */
  function next(): ServiceEvent | undefined {
    if (failure !== undefined || !goOn()) return undefined;
    const index = waiting.findIndex((event) => !busy.has(laneOf(event)));
    return index < 0 ? undefined : waiting.splice(index, 1)[0];
  }

  async function one(): Promise<boolean> {
    const event = next();
    if (event === undefined) return false;
    const lane = laneOf(event);
    busy.add(lane);
    const outcome = await tell(event);
    busy.delete(lane);
    if (outcome === undefined) taken.add(event.position);
    else failure ??= { event, outcome };
    return true;
  }

  // Whatever still waits when a teller finds nothing, waits for the lane of another, who goes on with it.
  const teller = async (): Promise<void> => {
    while (await one());
  };

  if (probe) await one();
  await Promise.all(Array.from({ length: most }, teller));
  return { taken, ...(failure === undefined ? {} : { failure }) };
}

/** Whose order is kept: what happens with one phone on one channel, with a channel, and what the operator is told. */
function laneOf(event: ServiceEvent): string {
  switch (event.type) {
    case "message.received":
      return `${event.message.channel} ${event.message.from}`;
    case "message.status":
      return `${event.message.channel} ${event.message.to}`;
    case "signal.matched":
      return `${event.signal.channel} ${event.signal.from}`;
    case "conversation.ended":
      return `${event.conversation.channel} ${event.conversation.address}`;
    case "channel.status":
      return event.channel;
    case "alert":
      return "";
  }
}
