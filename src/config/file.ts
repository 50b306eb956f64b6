import { createHash } from "node:crypto";
import { accessSync, constants, readdirSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import type { ChannelChange, ConfigDraft, ConfigFile, ConfigRead, ConfigWritten } from "../configuration.ts";
import type { Settings } from "../settings.ts";
import { writeFileAtomically } from "./atomic-file.ts";
import { fileReason } from "./credentials.ts";
import { type ChannelEdit, editChannel } from "./edit.ts";
import type { Env } from "./interpolate.ts";
import { isFolder, loadConfig } from "./load.ts";
import { formatProblems } from "./problems.ts";
import { codeOf } from "./secrets.ts";

interface FileOptions {
  /** As the operator named it; relative to the working folder. */
  readonly path: string;
  readonly env: Env;
  /** As `loadConfig` takes it. */
  readonly simulatorSeed?: string;
}

/** What a configuration was read from, and what was there. */
interface Sources {
  /** Hash of the content of every file, "" where it could not be read. By absolute path. */
  readonly files: Map<string, string>;
  /** The same for folders of policies. */
  readonly folders: Map<string, string>;
}

/** sms.yaml on disk. Nothing is read before `read` is called. */
export function openConfigFile(options: FileOptions): ConfigFile {
  const { path } = options;
  const absolute = resolve(path);
  let known: Sources = { files: new Map([[absolute, ""]]), folders: new Map() };

  /** Loads the configuration and notes what it was read from. */
  function load(text?: string): { loaded: ReturnType<typeof loadConfig>; sources: Sources } {
    const sources: Sources = { files: new Map([[absolute, ""]]), folders: new Map() };
    const loaded = loadConfig({
      ...options,
      ...(text === undefined ? {} : { text }),
      readFile(name) {
        sources.files.set(name, "");
        const content = readFileSync(name, "utf8");
        sources.files.set(name, hash(content));
        return content;
      },
      isFolder(name) {
        sources.folders.set(name, folderContent(name));
        return isFolder(name);
      },
    });
    if (text !== undefined) sources.files.set(absolute, hash(text));
    return { loaded, sources };
  }

  function write(before: string, after: string, sources: Sources): ConfigWritten {
    try {
      if (after !== before) {
        refuseReadOnly(absolute);
        if (!writeFileAtomically(absolute, after, before)) return { kind: "overtaken" };
      }
    } catch (error) {
      return { kind: "failed", ...whyNotWritten(path, error) };
    }
    known = sources;
    return { kind: "written" };
  }

  return {
    path,
    read(): ConfigRead {
      const { loaded, sources } = load();
      known = sources;
      if (loaded.kind === "invalid") return { kind: "invalid", problems: lines(loaded.problems) };
      return { kind: "ok", settings: loaded.settings, warnings: lines(loaded.warnings) };
    },
    draft(channel, change): ConfigDraft {
      let before: string;
      try {
        before = UTF8.decode(readFileSync(absolute));
      } catch (error) {
        return error instanceof TypeError
          ? refused(`${path} is not UTF-8 text, so it is not written.`, "Save it as UTF-8 first.")
          : refused(
              `${path} cannot be read: ${fileReason(error)}.`,
              "Make the file readable, then try again.",
            );
      }
      const { loaded } = load(before);
      if (loaded.kind === "invalid")
        return refused(
          `${path} is not valid at this moment, so nothing was changed:\n${formatProblems(loaded.problems)}`,
          "Correct the file first (sms-agent check says the same), then try again.",
        );
      const edits = editsOf(loaded.settings, channel, change);
      if (edits === undefined)
        return refused(`${path} has no channel ${channel}.`, "Write it into the file first.");
      let after = before;
      for (const edit of edits) {
        const edited = editChannel(after, channel, edit);
        if (!edited.ok)
          return refused(
            `channels.${channel}.${edit.key} ${edited.message}, so it is not changed by program.`,
            `In ${path}: ${edited.fix}.`,
          );
        after = edited.text;
      }
      const result = load(after);
      if (result.loaded.kind === "invalid")
        return refused(
          `The channel ${channel} cannot be changed so; ${path} would not be valid any more:\n${formatProblems(result.loaded.problems)}`,
          "Change the file accordingly first, then try again.",
        );
      return {
        kind: "ok",
        settings: result.loaded.settings,
        write: () => write(before, after, result.sources),
      };
    },
    stamp() {
      const files = [...known.files.keys()].map(stampOf);
      const folders = [...known.folders.keys()].map((folder) => {
        const names = namesIn(folder).map((name) => `${name}=${stampOf(join(folder, name))}`);
        return [stampOf(folder), ...names].join(",");
      });
      return [...files, ...folders].join(";");
    },
    changed() {
      for (const [name, content] of known.files) if (fileContent(name) !== content) return true;
      for (const [name, content] of known.folders) if (folderContent(name) !== content) return true;
      return false;
    },
  };
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What must be written so that the change holds; undefined when there is no such channel. */
function editsOf(
  { channels }: Settings,
  channel: string,
  change: ChannelChange,
): readonly ChannelEdit[] | undefined {
  const now = channels[channel];
  if (now === undefined) return undefined;
  const edits: ChannelEdit[] = [];
  if (change.mode !== undefined && change.mode !== now.mode) edits.push({ key: "mode", value: change.mode });
  if (change.enabled !== undefined && change.enabled !== now.enabled)
    edits.push({ key: "enabled", value: change.enabled });
  return edits;
}

function lines(problems: Parameters<typeof formatProblems>[0]): readonly string[] {
  return problems.map((problem) => formatProblems([problem]));
}

function refused(message: string, fix: string): ConfigDraft {
  return { kind: "refused", message, fix };
}

function hash(content: string): string {
  return createHash("sha256").update(content).digest("base64");
}

function fileContent(path: string): string {
  try {
    return hash(readFileSync(path, "utf8"));
  } catch {
    return "";
  }
}

/** What the policies of a folder depend on: its names, and the content of those that are policies. */
function folderContent(folder: string): string {
  return hash(
    namesIn(folder)
      .map((name) => {
        const path = join(folder, name);
        return `${name}\0${name.endsWith(".cedar") ? fileContent(path) : ""}\0${namesIn(path).join("\0")}`;
      })
      .join("\n"),
  );
}

/** The names in a folder; none where it is no folder, or there is none. */
function namesIn(path: string): readonly string[] {
  try {
    return readdirSync(path)
      .filter((name) => !name.startsWith("."))
      .sort();
  } catch {
    return [];
  }
}

function stampOf(path: string): string {
  try {
    const { ino, size, mtimeMs, ctimeMs } = statSync(path);
    return `${ino}:${size}:${mtimeMs}:${ctimeMs}`;
  } catch (error) {
    return codeOf(error) ?? "none";
  }
}

/** A file without any write permission is meant to stay as it is, also where root could write it. */
function refuseReadOnly(path: string): void {
  if ((statSync(path).mode & 0o222) === 0)
    throw Object.assign(new Error("the file is read-only"), { code: "EACCES" });
  accessSync(path, constants.W_OK);
}

function whyNotWritten(path: string, error: unknown): { readonly message: string; readonly fix: string } {
  const [reason, fix] = reasonOf(error);
  return { message: `${path} cannot be written, so nothing was changed: ${reason}.`, fix };
}

function reasonOf(error: unknown): readonly [reason: string, fix: string] {
  const code = codeOf(error);
  switch (code) {
    case "EACCES":
    case "EPERM":
      return [
        "the service's user may not",
        "Give that user write access to the file and its folder, or change the file yourself.",
      ];
    case "EROFS":
      return ["the disk is read-only", "Change the file where it comes from; the service takes it over."];
    case "EBUSY":
    case "EXDEV":
      return [
        "it is mounted as a single file, which cannot be replaced",
        "Mount its folder instead of the file, or change the file yourself.",
      ];
    case "ENOSPC":
    case "EDQUOT":
      return ["the disk is full", "Free some space, then try again."];
    case "ENOENT":
      return ["it is gone", "Put it back, then try again."];
    default:
      return [code ?? String(error), "Change the file yourself; the service takes it over."];
  }
}
