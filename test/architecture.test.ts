import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";

const root = join(import.meta.dir, "..");
const src = join(root, "src");

function files(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) return files(path);
    return /\.tsx?$/.test(name) && !name.endsWith(".d.ts") ? [path] : [];
  });
}

const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s[^;]*?from\s+"([^"]+)"|import\(\s*"([^"]+)"\s*\)|(?:^|\n)\s*import\s+"([^"]+)"/g;

function imports(path: string): string[] {
  return [...readFileSync(path, "utf8").matchAll(IMPORT)].map(
    (match) => match[1] ?? match[2] ?? match[3] ?? "",
  );
}

/** The part a file belongs to: `domain`, `app`, `main`, or the name of its folder. */
function partOf(path: string): string {
  const inside = relative(src, path);
  if (inside.startsWith("..")) return "outside";
  const [folder, ...rest] = inside.split("/");
  if (rest.length > 0) return folder ?? "";
  if (/^(app(-[a-z]+)?|addon)\.ts$/.test(inside)) return "app";
  return inside === "main.ts" ? "main" : "domain";
}

/** Which parts a part may import, besides itself. `npm` stands for packages, node: and bun: modules. */
function mayImport(part: string): readonly string[] {
  switch (part) {
    case "domain":
      return [];
    case "main":
      return ["cli"];
    case "cli":
      return ["app", "config", "domain", "npm", "outside"];
    case "app":
      return readdirSync(src)
        .filter((name) => !name.includes(".") && name !== "cli" && name !== "config")
        .concat("domain", "npm");
    default:
      return ["domain", "npm", "outside"];
  }
}

describe("the import rule", () => {
  for (const path of files(src)) {
    const name = relative(root, path);
    test(`${name} imports only what its part may`, () => {
      const part = partOf(path);
      for (const target of imports(path)) {
        const to = target.startsWith(".") ? partOf(normalize(join(dirname(path), target))) : "npm";
        if (to !== part) expect(mayImport(part), `${name} imports ${target}`).toContain(to);
      }
    });
  }

  test("the domain names neither Bun nor process", () => {
    for (const path of files(src).filter((file) => partOf(file) === "domain")) {
      const code = readFileSync(path, "utf8").replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
      expect(code, relative(root, path)).not.toMatch(/\bBun\.|\bprocess\./);
    }
  });

  test("the environment is read only in config", () => {
    for (const path of files(src).filter((file) => partOf(file) !== "config"))
      expect(readFileSync(path, "utf8"), relative(root, path)).not.toMatch(/process\.env|Bun\.env/);
  });

  test("files outside src that are built in are migrations, policies, package facts or a package's data", () => {
    for (const path of files(src)) {
      for (const target of imports(path).filter((found) => found.startsWith("."))) {
        const inside = relative(root, normalize(join(dirname(path), target)));
        if (!inside.startsWith("src/"))
          expect(inside, relative(root, path)).toMatch(
            /^(migrations|policies|package\.json|node_modules\/[^/]+)/,
          );
      }
    }
  });
});
