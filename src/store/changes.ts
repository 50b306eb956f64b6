import type { Change } from "../change.ts";

/** Gathers what a write changes, so that it is told once the write is on disk and forgotten when it is undone. */
export interface Changes {
  note(change: Change): void;
  /** Runs the write; answers its result with what it has noted. */
  during<T>(work: () => T): { readonly result: T; readonly noted: readonly Change[] };
}

export function createChanges(): Changes {
  let noted: Change[] = [];
  return {
    note: (change) => void noted.push(change),
    during(work) {
      noted = [];
      return { result: work(), noted };
    },
  };
}
