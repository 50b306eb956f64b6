/** How much waits in the queues of the store, and how large it is. */
export interface Depths {
  readonly turns: { readonly queued: number; readonly running: number; readonly parked: number };
  readonly outbox: { readonly pending: number; readonly sending: number; readonly unknown: number };
  /** When the oldest text that waits to be sent was put into the outbox, epoch ms; absent when none waits. */
  readonly oldestPending?: number;
  readonly watches: number;
  readonly judgements: number;
  /** Of the database file, without its log. */
  readonly bytes: number;
}

export interface DepthStore {
  /** Counted over the indexes of what is unfinished, so its cost does not grow with what is done. */
  depths(): Promise<Depths>;
}
