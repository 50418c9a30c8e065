#include "publisher.h"

#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "crowd.h"
#include "die.h"

#define PADDING "----------------------------------------------------------------"
#define ANSWER_PIECE_BYTES 65536

static int dial(const struct sockaddr_in *server)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die_errno("socket");
	if (connect(fd, (const struct sockaddr *)server, sizeof(*server)) != 0)
		die_errno("connect");
	return fd;
}

static void tell(int fd, const struct buf *bytes)
{
	size_t told = 0;
	CHECK(!bytes->is_broken);
	while (told < bytes->len) {
		ssize_t sent = send(fd, bytes->at + told, bytes->len - told, MSG_NOSIGNAL);
		if (sent < 0)
			die_errno("send");
		told += (size_t)sent;
	}
}

static void request_write(struct buf *out, uint32_t rooms, uint32_t number)
{
	struct buf body = {0};
	buf_string(&body, "{\"messages\":[");
	for (uint32_t room = 0; room < rooms; room++)
		buf_format(&body,
		           "%s{\"channel\":\"" ROOM_FORMAT
		           "\",\"data\":{\"n\":%u,\"pad\":\"" PADDING "\"}}",
		           room == 0 ? "" : ",", room, number);
	buf_string(&body, "]}");
	buf_format(out,
	           "POST /api/batch HTTP/1.1\r\nHost: crowd\r\n"
	           "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
	           body.len);
	buf_slice(out, buf_view(&body));
	CHECK(!body.is_broken);
	buf_free(&body);
}

/* The answer is there when it ends as our request makes it end. */
static void answer_read(int fd, struct buf *answer)
{
	do {
		char *room = buf_room(answer, ANSWER_PIECE_BYTES + 1);
		CHECK(room != NULL);
		ssize_t got = recv(fd, room, ANSWER_PIECE_BYTES, 0);
		if (got <= 0)
			die("the server gave no answer to a publication");
		buf_grew(answer, (size_t)got);
		answer->at[answer->len] = '\0';
		if (strncmp(answer->at, "HTTP/1.1 200 ", answer->len < 13 ? answer->len : 13) != 0)
			die(answer->at);
	} while (answer->len < 4 || strstr(answer->at, "]}") == NULL);
}

/* The rooms' ids stand in the order they were asked for. */
static void cursors_read(const char *at, uint32_t rooms,
                         char cursors[PUBLISHER_ROOMS_MAX][CURSOR_BYTES])
{
	static const char mark[] = "\"id\":\"";
	for (uint32_t room = 0; room < rooms; room++) {
		at = strstr(at, mark);
		if (at == NULL)
			die("a publication was refused");
		at += sizeof(mark) - 1;
		size_t len = strcspn(at, "\"");
		CHECK(len < CURSOR_BYTES);
		memcpy(cursors[room], at, len);
		cursors[room][len] = '\0';
	}
}

void publisher_publish(const struct sockaddr_in *server, uint32_t rooms, uint32_t number,
                       char cursors[PUBLISHER_ROOMS_MAX][CURSOR_BYTES])
{
	struct buf request = {0}, answer = {0};
	CHECK(rooms > 0 && rooms <= PUBLISHER_ROOMS_MAX);
	request_write(&request, rooms, number);
	int fd = dial(server);
	tell(fd, &request);
	answer_read(fd, &answer);
	cursors_read(answer.at, rooms, cursors);
	CHECK(close(fd) == 0);
	buf_free(&request);
	buf_free(&answer);
}
