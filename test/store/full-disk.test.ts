import { expect, test } from "bun:test";
import type { AppError } from "../../src/errors.ts";
import { refusal, storeOnDisk } from "./support.ts";

/** A store whose database may not grow any more, as on a full disk. */
function full() {
  const { client, ...rest } = storeOnDisk();
  const room = (pages: number) => {
    const used = Number(client.pragma("page_count", { simple: true }));
    client.pragma(`max_page_count = ${used + pages}`);
  };
  return { client, ...rest, room };
}

const text = "x".repeat(1_500);

test("a full disk refuses texts and tells so; with room again, the next one is taken and that is told too", async () => {
  const { store, t, failures, recoveries, room } = full();
  room(3);
  const admit = () => store.admit({ message: t.inbound({ text }), effects: [t.queueTurn()] });
  let refused: AppError | undefined;
  while (refused === undefined) {
    refused = await admit().then(
      () => undefined,
      (error: AppError) => error,
    );
  }
  expect(refused).toMatchObject({ code: "unavailable", fix: "Free space on the disk that holds data_dir." });
  const held = (await store.messages({ limit: 200 })).items.length;
  await refusal(admit());
  expect((await store.messages({ limit: 200 })).items).toHaveLength(held);
  expect(failures.length).toBeGreaterThanOrEqual(2);
  expect(recoveries).toHaveLength(0);
  room(200);
  await admit();
  expect(recoveries).toHaveLength(1);
});

test("a disk that has refused something is not called well by a write that needs no room", async () => {
  const { client, store, t, recoveries, room } = full();
  await store.ping();
  room(0);
  await refusal(store.admit({ message: t.inbound({ text: text.repeat(20) }), effects: [] }));
  await store.expireWatches(1);
  expect((await refusal(store.ping())).message).toContain("SQLITE_FULL");
  expect(recoveries).toHaveLength(0);
  room(200);
  await store.ping();
  expect(recoveries).toHaveLength(1);
  // What that took is given back.
  await store.ping();
  expect(client.prepare("SELECT ballast FROM heartbeat").pluck().all()).toEqual([null]);
});
