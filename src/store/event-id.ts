// The id of an event is its place in the log and 48 random bits, each as ten digits of base 32: ids sort by place.

export function eventId(seq: number, nonce: number): string {
  return `evt_${digits(seq)}${digits(nonce)}`;
}

export function readEventId(id: string): { readonly seq: number; readonly nonce: number } | undefined {
  const match = /^evt_([0-9a-v]{10})([0-9a-v]{10})$/.exec(id);
  if (match?.[1] === undefined || match[2] === undefined) return undefined;
  return { seq: Number.parseInt(match[1], 32), nonce: Number.parseInt(match[2], 32) };
}

function digits(value: number): string {
  return value.toString(32).padStart(10, "0");
}
