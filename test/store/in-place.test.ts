import { describe, expect, test } from "bun:test";
import { copyFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { refusal, storeOnDisk, temporaryFolder } from "./support.ts";

function opened() {
  const { client, store, t, failures, recoveries } = storeOnDisk();
  const admit = () => store.admit({ message: t.inbound(), effects: [t.queueTurn()] });
  return { file: client.name, store, admit, failures, recoveries };
}

describe("a database whose file is taken away while the service runs", () => {
  test("takes no text that the next start would not find, and is not called well", async () => {
    for (const part of ["", "-wal"]) {
      const { file, store, admit, failures } = opened();
      await admit();
      rmSync(`${file}${part}`);
      const refused = await refusal(admit());
      expect(refused).toMatchObject({ code: "unavailable" });
      expect(refused.message).toBe(`the database file ${file}${part} was removed while the service runs`);
      expect((await refusal(store.ping())).message).toBe(refused.message);
      expect(failures).toHaveLength(2);
    }
  });

  test("takes none either once another file is in its place, as when a backup was copied there", async () => {
    const { file, store, admit } = opened();
    await admit();
    const copy = join(dirname(file), "copy");
    copyFileSync(file, copy);
    renameSync(copy, file);
    expect((await refusal(admit())).message).toContain("was replaced while the service runs");
    expect((await refusal(store.ping())).fix).toContain("sms-agent restore");
  });

  test("takes texts again once it is back, with all that was taken before", async () => {
    const { file, store, admit, recoveries } = opened();
    await admit();
    const away = temporaryFolder();
    for (const part of ["", "-wal", "-shm"]) renameSync(`${file}${part}`, join(away, `db${part}`));
    await refusal(admit());
    for (const part of ["", "-wal", "-shm"]) renameSync(join(away, `db${part}`), `${file}${part}`);
    await admit();
    expect(recoveries).toHaveLength(1);
    expect((await store.messages({ limit: 10 })).items).toHaveLength(2);
  });
});
