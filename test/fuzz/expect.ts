/** Throws where something does not hold. */
export function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

/** The bytes that an input of a reader of bytes stands for: one for each unit below 0x100, UTF-8 for the others. */
export function bytesOf(input: string): Uint8Array {
  const bytes: number[] = [];
  const encoder = new TextEncoder();
  for (const unit of input) {
    const code = unit.codePointAt(0) ?? 0;
    if (code < 0x100) bytes.push(code);
    else bytes.push(...encoder.encode(unit));
  }
  return new Uint8Array(bytes);
}

/** A number as its order of magnitude, so that outcomes are few. */
export function size(count: number): string {
  return count === 0 ? "0" : `2^${Math.floor(Math.log2(count))}`;
}
