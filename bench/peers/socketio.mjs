// Rooms, as one writes them with the npm package socket.io, over WebSocket alone.
//
//   node socketio.mjs PORT
//
// A client names its room in the query of its handshake and is told "subscribed"; what is posted to
// /publish/ROOM goes to all in the room as the event "message".
import { createServer } from "node:http";
import { Server } from "socket.io";

async function publish(request, response) {
	let body = "";
	for await (const piece of request) body += piece;
	io.to(request.url.split("/")[2]).emit("message", body);
	response.end();
}

const server = createServer(publish);
const io = new Server(server, { transports: ["websocket"], pingInterval: 600000, pingTimeout: 600000 });
io.on("connection", (socket) => {
	const { room } = socket.handshake.query;
	socket.join(room);
	socket.emit("subscribed", room);
});
server.listen({ host: "127.0.0.1", port: Number(process.argv[2]), backlog: 4096 });
