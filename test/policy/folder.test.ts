import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadPolicyFolder, readPolicyFolder } from "../../src/policy/folder.ts";
import { SETTINGS } from "./setup.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "policies-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const write = (name: string, text: string | Uint8Array = "") => writeFileSync(join(folder, name), text);

test("the .cedar files of a folder are read in the order of their names", () => {
  write("b.cedar", "// ü😀");
  write("a.cedar", "// a");
  symlinkSync(join(folder, "a.cedar"), join(folder, "c.cedar"));
  for (const other of [
    "README.md",
    "policy.cedarschema",
    ".hidden.cedar",
    "a.cedar~",
    "notes.txt",
    "old.cedar.bak",
  ])
    write(other);
  mkdirSync(join(folder, "notes"));
  const { files, problems } = readPolicyFolder(folder);
  expect(problems).toEqual([]);
  expect(files).toEqual([
    { path: join(folder, "a.cedar"), text: "// a" },
    { path: join(folder, "b.cedar"), text: "// ü😀" },
    { path: join(folder, "c.cedar"), text: "// a" },
  ]);
});

test("what was meant as a policy and would not be read is a problem", () => {
  write("block.ceder");
  write("BLOCK.CEDAR");
  write("block.cedar.txt");
  write("latin.cedar", new Uint8Array([0x2f, 0x2f, 0xfc]));
  symlinkSync(join(folder, "gone"), join(folder, "link.cedar"));
  mkdirSync(join(folder, "sub"));
  write(join("sub", "inner.cedar"));
  const { files, problems } = readPolicyFolder(folder);
  expect(files).toEqual([]);
  expect(problems.map(({ file, message }) => `${file.slice(folder.length + 1)}: ${message}`)).toEqual([
    "BLOCK.CEDAR: this file is not read, since its name does not end in .cedar",
    "block.cedar.txt: this file is not read, since its name does not end in .cedar",
    "block.ceder: this file is not read, since its name does not end in .cedar",
    "latin.cedar: the file is not UTF-8",
    "link.cedar: cannot be read (ENOENT)",
    "sub: policies in a subfolder are not read",
  ]);
});

test("a folder that is not there is a problem that names it", () => {
  const missing = join(folder, "none");
  expect(readPolicyFolder(missing).problems).toEqual([
    {
      file: missing,
      line: 1,
      column: 1,
      message: "the policies folder cannot be read (ENOENT)",
      fix: expect.stringContaining("policies:"),
    },
  ]);
});

test("a folder is loaded as a whole: what cannot be read and what is wrong inside are reported together", () => {
  expect(loadPolicyFolder({ folder: undefined, settings: SETTINGS }).kind).toBe("ok");
  write("own.cedar", '@id("own") permit (principal, action, resource);');
  const good = loadPolicyFolder({ folder, settings: SETTINGS });
  const listed = good.kind === "ok" ? good.engine.list() : [];
  expect(listed.find(({ id }) => id === "own")?.source).toBe(`${join(folder, "own.cedar")}:1`);
  write("block.ceder");
  expect(loadPolicyFolder({ folder, settings: SETTINGS }).kind).toBe("invalid");
  write("own.cedar", '@id("") permit (principal, action, resource);');
  const bad = loadPolicyFolder({ folder, settings: SETTINGS });
  expect(bad.kind === "invalid" ? bad.problems.map(({ message }) => message) : []).toEqual([
    "this file is not read, since its name does not end in .cedar",
    "the policy has no name",
  ]);
});
