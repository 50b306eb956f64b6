/** Why a body was not read: over the cap, not complete in time, or cut off by whoever sent it. */
export type BodyProblem = "too_large" | "too_slow" | "cut_off";

/**
 * Reads a request's body up to `cap` bytes within `timeout` ms. A length that is announced too large is
 * refused before anything is read. The time is the wall clock's: it guards the listener, not the domain.
 */
export function readBody(request: Request, cap: number, timeout: number): Promise<Uint8Array | BodyProblem> {
  const announced = Number(request.headers.get("content-length") ?? "0");
  if (announced > cap) return Promise.resolve("too_large");
  // With a length that is known, the listener reads no more than that.
  const known = announced > 0 && Number.isSafeInteger(announced);
  return known ? whole(request, cap, timeout) : inPieces(request, cap, timeout);
}

async function inPieces(request: Request, cap: number, timeout: number): Promise<Uint8Array | BodyProblem> {
  if (request.body === null) return new Uint8Array();
  const reader = request.body.getReader();
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(() => resolve("late"), timeout);
  });
  try {
    for (;;) {
      const step = await Promise.race([reader.read(), late]);
      if (step === "late") return "too_slow";
      if (step.done) break;
      size += step.value.byteLength;
      if (size > cap) return "too_large";
      chunks.push(step.value);
    }
  } catch {
    // Only reading throws: chunks that are none, or the other side has gone.
    return "cut_off";
  } finally {
    clearTimeout(timer);
    reader.cancel().catch(() => {});
  }
  if (chunks.length === 1 && chunks[0] !== undefined) return chunks[0];
  const body = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    body.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return body;
}

/** The body in one piece, which the runtime gathers faster than we could. */
function whole(request: Request, cap: number, timeout: number): Promise<Uint8Array | BodyProblem> {
  return new Promise((resolve) => {
    const late = lateAfter(timeout, () => resolve("too_slow"));
    request.bytes().then(
      (body) => {
        late.cancel();
        resolve(body.byteLength > cap ? "too_large" : body);
      },
      // The other side has gone: nobody's failure but its own, and no line in the log for each.
      () => {
        late.cancel();
        resolve("cut_off");
      },
    );
  });
}

interface Late {
  cancel(): void;
}

/** Nearly every body is there at once, so a timer is set only for one that is not, a turn of the event loop later. */
function lateAfter(timeout: number, tell: () => void): Late {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let over = false;
  arriving.push(() => {
    if (!over) timer = setTimeout(tell, timeout);
  });
  if (arriving.length === 1)
    setImmediate(() => {
      for (const watch of arriving.splice(0)) watch();
    });
  return {
    cancel() {
      over = true;
      clearTimeout(timer);
    },
  };
}

const arriving: (() => void)[] = [];
