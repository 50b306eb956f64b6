import {
  copyFileSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CHECKOUT } from "./binary.ts";

/** What the build reads of the checkout. */
const PARTS = [
  "bunfig.toml",
  "deploy",
  "migrations",
  "node_modules",
  "package.json",
  "policies",
  "src",
  "tsconfig.json",
];

/** A copy of the checkout, as far as the build needs it, in a folder of its own. */
export function copyCheckout(): { readonly folder: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), "sms-agent-checkout-"));
  // node_modules may itself be a link; the copy must lead back to nothing that stays.
  for (const part of PARTS) copy(realpathSync(join(CHECKOUT, part)), join(folder, part));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

function copy(from: string, to: string): void {
  const found = lstatSync(from);
  // Those of packages lead from one to another within node_modules.
  if (found.isSymbolicLink()) symlinkSync(readlinkSync(from), to);
  else if (found.isDirectory()) {
    mkdirSync(to);
    for (const name of readdirSync(from)) copy(join(from, name), join(to, name));
  } else copyFile(from, to);
}

/** A second name costs nothing; another file system, or its rules, may not allow one. */
function copyFile(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}
