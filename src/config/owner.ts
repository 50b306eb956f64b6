import { lchownSync, statSync } from "node:fs";

/**
 * Gives a file that root has made to whom its folder belongs, so that a service of that user can read it. Does nothing
 * for other users, who cannot give files away. Throws the system's error.
 */
export function giveToOwner(file: string, folder: string): void {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = statSync(folder);
  lchownSync(file, uid, gid);
}
