// The application on Node's own http server. Run: node node.js PORT. Without SQLite, which Node 20 does not bring.
"use strict";
const fs = require("node:fs");
const http = require("node:http");
const path = require("node:path");

const files = path.join(process.env.BENCHMARK_DATA, "files");

function answer(response, status, type, body) {
  response.writeHead(status, { "Content-Type": type, "Content-Length": body.length });
  response.end(body);
}

const server = http.createServer((request, response) => {
  const mark = request.url.indexOf("?");
  const target = mark < 0 ? request.url : request.url.slice(0, mark);
  if (target === "/constant") {
    answer(response, 200, "application/json", Buffer.from(JSON.stringify({ id: 42, subject: "hello" })));
  } else if (target === "/echo") {
    const pieces = [];
    request.on("data", (piece) => pieces.push(piece));
    request.on("end", () => answer(response, 200, "application/octet-stream", Buffer.concat(pieces)));
  } else if (target.startsWith("/files/")) {
    const file = path.join(files, path.basename(target));
    fs.stat(file, (error, found) => {
      if (error) return answer(response, 404, "text/plain", Buffer.alloc(0));
      response.writeHead(200, { "Content-Type": "application/octet-stream", "Content-Length": found.size });
      fs.createReadStream(file, { highWaterMark: 65536 }).pipe(response);
    });
  } else {
    answer(response, 404, "text/plain", Buffer.alloc(0));
  }
});
server.keepAliveTimeout = 3600 * 1000;
server.requestTimeout = 0;
server.headersTimeout = 0;
server.maxRequestsPerSocket = 0;
server.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 4096 });
