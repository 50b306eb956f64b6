/** Answers every request at once: what the load generator itself can do. `bun nothing.ts PORT` */
const answer = Buffer.from(
  "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 11\r\n\r\n<Response/>",
);

Bun.listen({
  hostname: "127.0.0.1",
  port: Number(process.argv[2]),
  socket: { data: (socket) => void socket.write(answer) },
});
console.log("listening");
