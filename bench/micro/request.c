/*
 * http/request: the head of a browser's WebSocket handshake, that of a backend's publication,
 * and a request in pieces of 64 bytes.
 */
#include "http/request.h"
#include "micro.h"

#define PIECE_BYTES 64

static const struct http_limits limits = {.target_bytes_max = 16384, .header_bytes_max = 16384};

static const char handshake[] =
	"GET /ws?user=ann HTTP/1.1\r\n"
	"Host: live.example.com\r\n"
	"Connection: Upgrade\r\n"
	"Pragma: no-cache\r\n"
	"Cache-Control: no-cache\r\n"
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
	"Chrome/126.0.0.0 Safari/537.36\r\n"
	"Upgrade: websocket\r\n"
	"Origin: https://live.example.com\r\n"
	"Sec-WebSocket-Version: 13\r\n"
	"Accept-Encoding: gzip, deflate, br, zstd\r\n"
	"Accept-Language: en-GB,en;q=0.9\r\n"
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

static const char publication[] = "POST /api/publish HTTP/1.1\r\n"
				  "Host: 127.0.0.1:8000\r\n"
				  "User-Agent: curl/8.5.0\r\n"
				  "Accept: */*\r\n"
				  "Content-Type: application/json\r\n"
				  "Content-Length: 128\r\n\r\n";

struct text {
	const char *bytes;
	size_t len, piece;
};

static void parse(void *argument, uint64_t operations)
{
	const struct text *text = argument;
	static struct http_request request;
	for (uint64_t i = 0; i < operations; i++) {
		enum http_parse answer = HTTP_MORE;
		http_request_begin(&request);
		for (size_t len = text->piece; answer == HTTP_MORE; len += text->piece) {
			len = len < text->len ? len : text->len;
			answer = http_request_parse(&request, text->bytes, len, &limits);
		}
		CHECK(answer == HTTP_DONE);
		micro_use(request.headers.count);
	}
}

int main(int argc, char **argv)
{
	struct text browser = {handshake, sizeof(handshake) - 1, sizeof(handshake) - 1};
	struct text backend = {publication, sizeof(publication) - 1, sizeof(publication) - 1};
	struct text pieces = {handshake, sizeof(handshake) - 1, PIECE_BYTES};
	micro_begin(argc, argv);
	micro_measure("request.handshake", parse, &browser);
	micro_measure("request.publish", parse, &backend);
	micro_measure("request.handshake_in_pieces", parse, &pieces);
	return micro_end();
}
