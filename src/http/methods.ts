/** A route as the router lists it; `path` may have `:name` for a segment. */
interface Route {
  readonly method: string;
  readonly path: string;
}

/**
 * The methods that routes take at a path, as the header `Allow` lists them; undefined where there is no route. What
 * answers to every method, or to more than one path, is no route but something that stands before them.
 */
export function methodsAt(path: string, routes: readonly Route[]): string | undefined {
  const segments = path.split("/");
  const methods = new Set<string>();
  for (const route of routes) {
    if (route.method === "ALL" || !matches(segments, route.path.split("/"))) continue;
    methods.add(route.method);
    if (route.method === "GET") methods.add("HEAD");
  }
  return methods.size === 0 ? undefined : [...methods].sort().join(", ");
}

/** Whether the segments of a path are those of a pattern, in which `:name` stands for any that is not empty. */
export function matches(segments: readonly string[], pattern: readonly string[]): boolean {
  return (
    segments.length === pattern.length &&
    pattern.every((part, index) => (part.startsWith(":") ? segments[index] !== "" : part === segments[index]))
  );
}
