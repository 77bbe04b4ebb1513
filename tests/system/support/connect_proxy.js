// SPDX-License-Identifier: Apache-2.0
// An HTTP proxy that opens connections by CONNECT, on node's own HTTP server, which parses requests
// strictly and wants the field Host:
//     node connect_proxy.js LISTEN PORT [user=USER:PASSWORD] [wrong=401] [ports=443,7001] [mute=yes]
// wrong: what it says of a wrong user, 407 else. It writes a line "STATUS HOST:PORT" for each request. mute: it takes connections and says nothing.
"use strict";
const http = require("http");
const net = require("net");

const [listen, port, ...words] = process.argv.slice(2);
const options = Object.fromEntries(words.map((word) => [word.slice(0, word.indexOf("=")),
	word.slice(word.indexOf("=") + 1)]));
const wanted = options.user && "Basic " + Buffer.from(options.user).toString("base64");
const ports = options.ports && options.ports.split(",");

function refuse(client, target, status, text, field = "") {
	console.log(status, target);
	client.end(`HTTP/1.1 ${status} ${text}\r\n${field}Content-Length: 3\r\n\r\nno\n`);
}

function connect(request, client, head) {
	const target = request.url;
	const place = new URL(`http://${target}`);

	client.on("error", () => client.destroy());
	if (head.length || request.headers.host !== target || request.headers["content-length"])
		return refuse(client, target, 400, "Bad Request");
	if (wanted && request.headers["proxy-authorization"] !== wanted)
		return refuse(client, target, request.headers["proxy-authorization"] && options.wrong || 407,
			"Proxy Authentication Required", "Proxy-Authenticate: Basic realm=\"lab\"\r\n");
	if (ports && !ports.includes(place.port || "80"))
		return refuse(client, target, 403, "Forbidden");
	const peer = net.connect(Number(place.port || 80), place.hostname.replace(/[[\]]/g, ""));
	let isOpen = false;
	peer.on("connect", () => {
		isOpen = true;
		console.log(200, target);
		client.write("HTTP/1.1 200 Connection established\r\nProxy-Agent: lab\r\n\r\n");
		client.pipe(peer);
		peer.pipe(client);
	});
	peer.on("error", () => isOpen ? client.destroy() : refuse(client, target, 502, "Bad Gateway"));
	client.on("close", () => peer.destroy());
}

const server = options.mute ? net.createServer((client) => client.on("error", () => {}).resume()) : http.createServer();
server.on("connect", connect);
server.listen(Number(port), listen, () => console.log("ready"));
