import { Webhook } from "standardwebhooks";

/** What a webhook of a test was posted. */
export interface Post {
  readonly path: string;
  readonly headers: Headers;
  /** As it came, for signatures. */
  readonly raw: string;
  readonly body: PostBody;
}

export interface PostBody {
  readonly id: string;
  readonly type: string;
  readonly at: string;
  // biome-ignore lint/suspicious/noExplicitAny: bodies are asserted field by field
  readonly data: any;
}

/** A status, a whole answer, or nothing at all: then the post hangs until the consumer closes. */
export type PostAnswer = number | Response | undefined | Promise<number>;

/** A program that webhooks post to. */
export interface Consumer {
  readonly url: string;
  readonly posts: readonly Post[];
  /** From now on `answer` answers. */
  respond(answer: (post: Post) => PostAnswer): void;
  /** Resolves once `check` holds for what has come; it is tried with every post. */
  until(check: (posts: readonly Post[]) => boolean, what: string): Promise<void>;
  /** The bodies of one type so far. */
  ofType(type: string): readonly PostBody[];
  close(): Promise<void>;
}

/** The longest a test waits for a post, ms. */
const PATIENCE = 10_000;

/** Answers 204 unless told otherwise. */
export function openConsumer(path = "/events"): Consumer {
  const posts: Post[] = [];
  const watchers = new Set<() => void>();
  const hanging = new Set<() => void>();
  let answer: (post: Post) => PostAnswer = () => 204;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const raw = await request.text();
      const post = { path: new URL(request.url).pathname, headers: request.headers, raw, body: bodyOf(raw) };
      posts.push(post);
      for (const watcher of watchers) watcher();
      const given = await answer(post);
      if (given instanceof Response) return given;
      if (given !== undefined) return new Response(null, { status: given });
      return new Promise<Response>((resolve) => {
        hanging.add(() => resolve(new Response(null, { status: 503 })));
      });
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}${path}`,
    posts,
    respond(given) {
      answer = given;
    },
    until(check, what) {
      return new Promise((resolve, reject) => {
        const look = () => {
          if (!check(posts)) return;
          clearTimeout(timer);
          watchers.delete(look);
          resolve();
        };
        const timer = setTimeout(() => {
          watchers.delete(look);
          reject(
            new Error(`waited in vain for ${what}; got ${posts.map(({ body }) => body.type).join(", ")}`),
          );
        }, PATIENCE);
        watchers.add(look);
        look();
      });
    },
    ofType: (type) => posts.map(({ body }) => body).filter((body) => body.type === type),
    async close() {
      for (const end of hanging) end();
      await server.stop(true);
    },
  };
}

function bodyOf(raw: string): PostBody {
  return raw === "" ? { id: "", type: "", at: "", data: {} } : JSON.parse(raw);
}

/** Throws where none of the signatures of a post is that of `secret`; the time of the post does not matter. */
export function verify(post: Post, secret: string | Uint8Array): void {
  const id = post.headers.get("webhook-id") ?? "";
  const at = new Date(Number(post.headers.get("webhook-timestamp")) * 1_000);
  const signed = new Webhook(Buffer.from(secret), { format: "raw" }).sign(id, at, post.raw);
  if (!post.headers.get("webhook-signature")?.split(" ").includes(signed))
    throw new Error("the signature is wrong");
}
