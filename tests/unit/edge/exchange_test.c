/* Requests that follow one another on a connection: what stays of one when the next has come. */
#include "edge/conn.h"
#include "edge_loop.h"

#define PUBLISH                                                                                    \
	"POST /publish?channel=c HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"              \
	"Content-Length: 1\r\n\r\nx"

static const struct request {
	const char *claim, *request;
	bool is_publisher; /* behind it */
	bool owes;         /* likewise: a message at least */
} straight[] =
	{
		{"who publishes waits while the hub is behind", PUBLISH, true, true},
		{"and so with each publication more", PUBLISH, true, true},
		{"not who has something else to say", "GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
                 false, false},
		{NULL, NULL, false, false},
},
  passed_on[] =
	  {
		  {"a proxy's connection publishes", PUBLISH, true, false},
		  {"and owes nothing for the client before", PUBLISH, true, false},
		  {NULL, NULL, false, false},
},
  passed_through[] = {
	  {"a connection with a PROXY header is one client's",
           "PROXY TCP4 203.0.113.9 127.0.0.1 4711 80\r\n" PUBLISH, true, true},
	  {"which owes for all that it has published", PUBLISH, true, true},
	  {NULL, NULL, false, false},
};

static const struct request *next;

static void client_turn(void)
{
	static unsigned turns;
	CHECK(++turns < TURNS_MAX);
	hear();
	if (!was_told("}") && !was_told("\r\n\r\nok"))
		return;
	const struct conn *conn = slab_by_index(&edge->conns, 0);
	CHECK(was_told("HTTP/1.1 200 "));
	CHECK(conn->session.is_publisher == next->is_publisher);
	if (next->is_publisher) /* else time may have worked it off */
		CHECK((conn->rate.owed > 0) == next->owes);
	buf_clear(&answer);
	next++;
	if (next->claim == NULL) {
		loop_stop(loop);
		return;
	}
	printf("exchange: %s\n", next->claim);
	say(next->request);
}

static void run(const struct request *requests, struct network *proxies)
{
	settings.proxies = proxies;
	settings.proxy_count = proxies != NULL;
	next = requests;
	open_all(1);
	printf("exchange: %s\n", next->claim);
	say(next->request);
	loop_run(loop);
	close_all();
}

int main(void)
{
	struct network loopback;
	CHECK(network_parse(SLICE("127.0.0.0/8"), &loopback));
	settings.message_rate = 1;
	settings.message_burst = 10;
	run(straight, NULL);
	run(passed_on, &loopback);
	run(passed_through, &loopback);
	return 0;
}
