// Rooms, as one writes them with the npm package ws.
//
//   node ws.mjs PORT [REDIS_PORT]
//
// A client says {"subscribe":ROOM} and is answered {"subscribed":ROOM}; {"publish":ROOM,"data":…} goes
// to all in the room. /echo sends back what it gets. With Redis a message goes there first, and
// each process that has somebody in the room gets it from there.
import { WebSocketServer } from "ws";

const [port, redisPort] = process.argv.slice(2).map(Number);
const rooms = new Map();

// Put in bytes once; each socket still gets a frame of its own.
function deliver(room, bytes) {
	for (const socket of rooms.get(room) ?? []) socket.send(bytes, { binary: false });
}

let publish = deliver;
let follow = () => {};
if (redisPort) {
	const { Redis } = await import("ioredis");
	const [commands, subscriber] = [new Redis(redisPort), new Redis(redisPort)];
	subscriber.on("messageBuffer", (room, bytes) => deliver(room.toString(), bytes));
	publish = (room, bytes) => commands.publish(room, bytes);
	follow = (room) => subscriber.subscribe(room);
}

async function enter(socket, room) {
	let members = rooms.get(room);
	if (!members) {
		rooms.set(room, (members = new Set()));
		members.ready = follow(room);
	}
	await members.ready;
	members.add(socket);
	socket.on("close", () => members.delete(socket));
	socket.send(JSON.stringify({ subscribed: room }));
}

function take(socket, text) {
	const message = JSON.parse(text);
	if (message.subscribe) enter(socket, message.subscribe);
	else publish(message.publish, Buffer.from(JSON.stringify({ room: message.publish, data: message.data })));
}

const server = new WebSocketServer({ host: "127.0.0.1", port, backlog: 4096 });
server.on("connection", (socket, request) => {
	socket.on("error", () => {});
	if (request.url === "/echo") socket.on("message", (data, binary) => socket.send(data, { binary }));
	else socket.on("message", (data) => take(socket, data));
});
