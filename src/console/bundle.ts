import { join } from "node:path";

/** The page's script, style sheet and icon, ready for a browser. */
export interface Bundle {
  readonly script: string;
  readonly style: string;
  readonly icon: string;
}

/** Bundles the page from its source, which lies beside this module. Throws AggregateError where it cannot be built. */
export async function bundlePage(): Promise<Bundle> {
  const page = join(import.meta.dir, "page");
  const result = await Bun.build({
    entrypoints: [join(page, "main.tsx")],
    target: "browser",
    format: "esm",
    minify: true,
    sourcemap: "none",
  });
  const script = result.outputs.find(({ kind }) => kind === "entry-point");
  if (!result.success || script === undefined)
    throw new AggregateError(result.logs, "the console's page cannot be built");
  return {
    script: await script.text(),
    style: await Bun.file(join(page, "style.css")).text(),
    icon: await Bun.file(join(page, "icon.svg")).text(),
  };
}
