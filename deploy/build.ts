/**
 * Builds the binary: `bun run build` for this machine, `--target linux-arm64` for another, `--all` for every
 * one with SHA-256 sums, `--outfile` to put one elsewhere than in dist/. Everything the program needs lies inside it.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { constants, zstdCompressSync } from "node:zlib";
import type { BunPlugin } from "bun";
import { bundlePage } from "../src/console/bundle.ts";

const root = resolve(import.meta.dir, "..");

/** Our name of a target, Bun's name of it, and the SQLite addon that belongs to it. */
const TARGETS = {
  "linux-x64": { bun: "bun-linux-x64", addon: "linux-x64" },
  "linux-arm64": { bun: "bun-linux-arm64", addon: "linux-arm64" },
  "linux-x64-musl": { bun: "bun-linux-x64-musl", addon: "linuxmusl-x64" },
  "linux-arm64-musl": { bun: "bun-linux-arm64-musl", addon: "linuxmusl-arm64" },
  "darwin-arm64": { bun: "bun-darwin-arm64", addon: "darwin-arm64" },
  "darwin-x64": { bun: "bun-darwin-x64", addon: "darwin-x64" },
} as const;

/** By so much JavaScriptCore's thresholds for compiling are higher than usual while the service starts. */
const START_JIT_POLICY = 100;

type Target = keyof typeof TARGETS;

function isTarget(name: string): name is Target {
  return Object.hasOwn(TARGETS, name);
}

/** This machine's target; musl where the C library is musl. */
function hostTarget(): Target {
  const musl = process.platform === "linux" && isMusl();
  const name = `${process.platform}-${process.arch}${musl ? "-musl" : ""}`;
  if (isTarget(name)) return name;
  throw new Error(`There is no build for ${name}; there is: ${Object.keys(TARGETS).join(", ")}.`);
}

function isMusl(): boolean {
  try {
    return readFileSync("/usr/bin/ldd", "latin1").includes("musl");
  } catch {
    return false;
  }
}

/** Replaces src/addon.ts by a module that embeds the target's SQLite addon. */
function embedAddon(addon: string): BunPlugin {
  const path = join(root, "node_modules", "better-sqlite3", "prebuilds", `${addon}.node`);
  const sha256 = createHash("sha256").update(readFileSync(path)).digest("hex");
  return {
    name: "embed-addon",
    setup(build) {
      build.onLoad({ filter: /[/\\]src[/\\]addon\.ts$/ }, () => ({
        loader: "ts",
        contents: `import path from ${JSON.stringify(path)} with { type: "file" };\nexport const addon = { path, sha256: ${JSON.stringify(sha256)} };\n`,
      }));
    },
  };
}

/**
 * Embeds Cedar's WebAssembly compressed, a quarter of its size: what a start reads of the binary stays resident as
 * long as the machine has no other use for it.
 */
function packWasm(): BunPlugin {
  return {
    name: "pack-wasm",
    setup(build) {
      build.onLoad({ filter: /[/\\]cedar_wasm_bg\.wasm$/ }, ({ path }) => ({
        loader: "file",
        contents: zstdCompressSync(readFileSync(path), {
          params: { [constants.ZSTD_c_compressionLevel]: 19 },
        }),
      }));
    },
  };
}

/** Replaces src/console/built.ts by a module that holds the console's page. */
async function embedPage(): Promise<BunPlugin> {
  const page = await bundlePage();
  return {
    name: "embed-page",
    setup(build) {
      build.onLoad({ filter: /[/\\]src[/\\]console[/\\]built\.ts$/ }, () => ({
        loader: "ts",
        contents: `export const built = ${JSON.stringify(page)};\n`,
      }));
    },
  };
}

async function build(target: Target, outfile: string): Promise<void> {
  const { bun, addon } = TARGETS[target];
  const result = await Bun.build({
    entrypoints: [join(root, "src", "main.ts")],
    root,
    target: "bun",
    format: "esm",
    minify: true,
    // Starts twice as fast: nothing is parsed.
    bytecode: true,
    // What only some verbs or some agents need is a part of its own, which others never load.
    splitting: true,
    sourcemap: "none",
    plugins: [embedAddon(addon), packWasm(), await embedPage()],
    compile: {
      target: bun,
      outfile,
      // What a start runs lies together and not among what it does not run; deploy/order.ts records it.
      bytecodeOrder: join(root, "deploy", "start.order"),
      // What only the start runs is not worth compiling: `compileHotCode` in src/system/memory.ts ends this.
      jitPolicy: START_JIT_POLICY,
      // The service reads nothing from the folder it happens to be started in.
      autoloadDotenv: false,
      autoloadBunfig: false,
    },
  });
  if (!result.success) throw new AggregateError(result.logs, `the build for ${target} failed`);
  process.stdout.write(`${outfile}\n`);
}

const args = process.argv.slice(2);
const dist = join(root, "dist");
mkdirSync(dist, { recursive: true });
if (args.includes("--all")) {
  const sums: string[] = [];
  for (const target of Object.keys(TARGETS).filter(isTarget)) {
    const name = `sms-agent-${target}`;
    await build(target, join(dist, name));
    const sum = createHash("sha256")
      .update(readFileSync(join(dist, name)))
      .digest("hex");
    sums.push(`${sum}  ${name}`);
  }
  writeFileSync(join(dist, "SHA256SUMS"), `${sums.join("\n")}\n`);
  process.stdout.write(`${join(dist, "SHA256SUMS")}\n`);
} else {
  const option = (name: string) => (args.includes(name) ? (args[args.indexOf(name) + 1] ?? "") : undefined);
  const wanted = option("--target");
  if (wanted !== undefined && !isTarget(wanted)) {
    process.stderr.write(`There is no target ${wanted}; there is: ${Object.keys(TARGETS).join(", ")}.\n`);
    process.exit(2);
  }
  const target = wanted ?? hostTarget();
  const name = wanted === undefined ? "sms-agent" : `sms-agent-${target}`;
  await build(target, resolve(option("--outfile") ?? join(dist, name)));
}
