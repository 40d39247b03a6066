/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <event2/buffer.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "system/clock.h"
#include "transfer/path_look.h"
#include "transfer/tcp.h"

#define READ_MAX  65536 /* octets an event: streams take turns */
#define WRITE_MAX (256 * 1024)
#define NOT_SENT  (128 * 1024) /* octets in the kernel that it did not send yet */
#define MUCH      16384        /* octets of one write, worth a look at how much of it lies there */
#define WRITE_NOW                                                                                  \
    65536 /* do not wait for the loop: it may be long until others have had their turn */
#define FLUSH_MS   1000
#define QUIET_MS   1000 /* by then the other end knows from its own interface */
#define PACE_MS    10
#define GATHER_MS  1
#define GATHER_AT  (1 << 20) /* octets: before that the first ones are waited for */
#define DELAYS_MAX 256

/* So many queued octets may leave at that time. */
struct delayed {
    sh_ms due;
    size_t octets;
};

struct sh_tcp_stream {
    struct sh_stream stream;
    struct sh_tcp_owner *owner; /* NULL: gone */
    struct sh_tcp_stream *next, **link;
    struct event_base *base;
    bool accepted;
    int fd;
    struct event *readable, *writable;
    struct event *later; /* what may not happen inside a driver function: closed, free */
    struct event *pace, *shaping, *linger, *gather;
    struct evbuffer *out;
    uint64_t got; /* octets that came */
    bool floods;  /* the last look found more than one read takes */
    bool full;    /* the kernel did not take all, and has not asked for more since */
    bool was_low; /* fewer than SH_STREAM_LOW octets wait, and the user knows it */
    bool closing; /* the user is gone */
    bool telling; /* the user has input; it may end all that there is of us meanwhile, */
    bool gone;    /* and did: only the memory is left */
    bool dead;
    bool quiet; /* the other end is not told yet */
    enum sh_cause cause;
    int error;   /* errno that ended it */
    bool closed; /* by the other end */
    struct sh_tcp_address to;

    sh_shape_fn shape_fn;
    void *shape_user;
    struct sh_shape shape;
    uint64_t sent, tokens;
    sh_ms refilled;
    struct delayed *
        delays; /* a ring of DELAYS_MAX, the last one takes what finds no room; NULL: never was one */
    unsigned delay_first, delay_count;
};

static void set_option(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof(value)); /* works worse without, but works */
}

void sh_tcp_socket_options(int fd)
{
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 5000);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 5);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 2);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
    /* Else megabytes lie in the kernel, which no switch of links can take back. */
    set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOT_SENT);
}

void sh_tcp_segment(int fd, unsigned octets)
{
    set_option(fd, IPPROTO_TCP, TCP_MAXSEG, (int)octets);
}

static void arm(struct event *event, unsigned ms)
{
    const struct timeval after = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
    if (event)
        event_add(event, &after);
}

/* ---- the end ---- */

static void unlink_stream(struct sh_tcp_stream *s)
{
    if (!s->owner)
        return;
    if (s->accepted)
        s->owner->accepted--;
    *s->link = s->next;
    if (s->next)
        s->next->link = s->link;
    s->owner = NULL;
}

static void free_event(struct event *event)
{
    if (event)
        event_free(event);
}

static void stream_free(struct sh_tcp_stream *s)
{
    unlink_stream(s);
    free_event(s->readable);
    free_event(s->writable);
    free_event(s->later);
    free_event(s->pace);
    free_event(s->shaping);
    free_event(s->linger);
    free_event(s->gather);
    if (s->out)
        evbuffer_free(s->out);
    sh_closep(&s->fd);
    free(s->delays);
    s->gone = true;
    if (!s->telling)
        free(s);
}

/* No more input or output; the user is told from the loop. */
static void stream_die(struct sh_tcp_stream *s, enum sh_cause cause)
{
    if (s->dead)
        return;
    s->dead = true;
    s->cause = cause;
    event_del(s->readable);
    event_del(s->writable);
    event_del(s->pace);
    event_del(s->gather);
    if (s->shaping)
        event_del(s->shaping);
    event_active(s->later, EV_TIMEOUT, 1);
}

static void stream_break(struct sh_tcp_stream *s, int error)
{
    s->error = error;
    s->closed = error == ECONNRESET || error == EPIPE;
    stream_die(s, sh_fail(SH_CONNECT_LOST, "%s", strerror(error)));
}

static void on_later(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    struct sh_tcp_stream *s = user;
    if (s->closing) {
        stream_free(s);
        return;
    }
    if (!s->quiet) {
        sh_closep(&s->fd); /* the other side sees it now, whenever the user closes */
        s->fd = -1;
        unlink_stream(s);
    }
    const struct sh_stream_ops *ops = s->stream.ops;
    s->stream.ops = NULL;
    if (ops)
        ops->closed(s->cause, s->stream.user);
}

/* ---- output ---- */

static size_t released(struct sh_tcp_stream *s, sh_ms now)
{
    size_t waiting = 0;
    while (s->delay_count > 0 && s->delays[s->delay_first].due <= now) {
        s->delay_first = (s->delay_first + 1) % DELAYS_MAX;
        s->delay_count--;
    }
    for (unsigned i = 0; i < s->delay_count; i++)
        waiting += s->delays[(s->delay_first + i) % DELAYS_MAX].octets;
    size_t queued = evbuffer_get_length(s->out);
    return queued > waiting ? queued - waiting : 0;
}

static void delay_add(struct sh_tcp_stream *s, size_t octets)
{
    if (s->shape.delay_ms == 0)
        return;
    if (!s->delays)
        s->delays = calloc(DELAYS_MAX, sizeof(*s->delays));
    if (!s->delays)
        return;
    struct delayed entry = {.due = sh_now() + s->shape.delay_ms, .octets = octets};
    if (s->delay_count == DELAYS_MAX) {
        struct delayed *last = &s->delays[(s->delay_first + s->delay_count - 1) % DELAYS_MAX];
        entry.octets += last->octets;
        *last = entry;
        return;
    }
    s->delays[(s->delay_first + s->delay_count++) % DELAYS_MAX] = entry;
}

/* A bucket of a fiftieth of a second. */
static size_t allowed_by_rate(struct sh_tcp_stream *s, sh_ms now)
{
    if (s->shape.rate == 0)
        return SIZE_MAX;
    uint64_t burst = SH_MAX(s->shape.rate / 50, (uint64_t)512);
    sh_ms passed = SH_MIN(now - s->refilled, (sh_ms)1000);
    uint64_t refill = s->shape.rate * passed / 1000;
    if (refill > 0) {
        s->tokens = SH_MIN(s->tokens + refill, burst);
        s->refilled = now;
    }
    return (size_t)s->tokens;
}

static uint64_t up_to(uint64_t limit, uint64_t sent)
{
    if (limit == 0)
        return UINT64_MAX;
    return limit > sent ? limit - sent : 0;
}

/* How many octets may be given to the kernel now. */
static size_t allowance(struct sh_tcp_stream *s)
{
    size_t queued = evbuffer_get_length(s->out);
    if (!s->shape_fn)
        return SH_MIN(queued, (size_t)WRITE_MAX);
    sh_ms now = sh_now();
    uint64_t most = SH_MIN(released(s, now), allowed_by_rate(s, now));
    most = SH_MIN(most, up_to(s->shape.cut_after, s->sent));
    most = SH_MIN(most, up_to(s->shape.blackhole_after, s->sent));
    return (size_t)SH_MIN(most, (uint64_t)WRITE_MAX);
}

static bool is_blackhole(const struct sh_tcp_stream *s)
{
    return s->shape.blackhole ||
           (s->shape.blackhole_after > 0 && s->sent >= s->shape.blackhole_after);
}

static bool is_cut(const struct sh_tcp_stream *s)
{
    return s->shape.cut || (s->shape.cut_after > 0 && s->sent >= s->shape.cut_after);
}

static void wait_to_write(struct sh_tcp_stream *s)
{
    bool queued = evbuffer_get_length(s->out) > 0;
    if (s->dead || (!queued && !s->full) || is_blackhole(s))
        return;
    if (!queued || allowance(s) > 0)
        event_add(s->writable, NULL);
    else
        arm(s->pace, PACE_MS);
}

/* The queue is empty: says so to the other side, and waits for its end, since a close with
 * unread input would be a reset that takes what we sent with it. */
static void flushed(struct sh_tcp_stream *s)
{
    (void)shutdown(s->fd, SHUT_WR);
}

static void write_some(struct sh_tcp_stream *s)
{
    size_t most = is_blackhole(s) ? 0 : allowance(s);
    if (s->dead || most == 0)
        return;
    int n = evbuffer_write_atmost(s->out, s->fd, (ev_ssize_t)most);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        stream_break(s, errno);
        return;
    }
    if (n > 0) {
        s->sent += (uint64_t)n;
        s->tokens -= SH_MIN(s->tokens, (uint64_t)n);
    }
    /* It says that it wants more when less than half of NOT_SENT is left. */
    if (n < 0 || (size_t)n < most || (n >= MUCH && sh_path_not_sent(s->fd) >= NOT_SENT / 2)) {
        s->full = true;
        s->was_low = false;
    }
    if (is_cut(s))
        stream_die(s, SH_CONNECT_LOST);
    else if (s->closing && evbuffer_get_length(s->out) == 0)
        flushed(s);
}

static void tell_writable(struct sh_tcp_stream *s)
{
    if (s->dead || s->closing || s->was_low || s->full ||
        evbuffer_get_length(s->out) >= SH_STREAM_LOW)
        return;
    s->was_low = true;
    if (s->stream.ops)
        s->stream.ops->writable(s->stream.user);
}

/* What a piece leaves over waits in our memory. So the next one is asked for when the kernel wants more though nothing is left: then it has
 * room for all of it, or with many who read slowly each would have a piece here. */
static void on_writable(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    struct sh_tcp_stream *s = user;
    s->full = s->full && evbuffer_get_length(s->out) > 0;
    write_some(s);
    wait_to_write(s);
    tell_writable(s);
}

/* ---- input ---- */

/* Where much comes, it is let gather for a moment: to wake for each piece of it costs more than what is done with it, and takes
 * the processor from whoever else works for it. */
static void gather(struct sh_tcp_stream *s, size_t got)
{
    bool floods = got == READ_MAX && s->got >= GATHER_AT;
    s->got += got;
    if (s->floods && !floods && !s->closing) {
        event_del(s->readable);
        arm(s->gather, GATHER_MS);
    } else {
        s->floods = floods;
    }
}

static void on_gathered(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    struct sh_tcp_stream *s = user;
    s->floods = false;
    event_add(s->readable, NULL);
}

/* What the user answers goes out at once and together: others of the same turn may take long, and the loop would need two more calls
 * of the kernel for it. */
static void tell_rx(struct sh_tcp_stream *s, struct sh_bytes bytes)
{
    s->telling = true;
    s->stream.ops->rx(bytes, s->stream.user);
    s->telling = false;
    if (s->gone) {
        free(s);
        return;
    }
    if (s->dead || s->closing)
        return;
    write_some(s);
    if (s->was_low)
        wait_to_write(s);
    else
        event_add(s->writable, NULL); /* the user waits to hear of room, also where all went out */
}

static void on_readable(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    struct sh_tcp_stream *s = user;
    uint8_t buffer[READ_MAX];
    if (is_blackhole(s)) {
        event_del(s->readable); /* on_shaping looks whether it is over */
        return;
    }
    /* waits: the socket is non-blocking */
    ssize_t n = recv(s->fd, buffer, sizeof(buffer), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    s->closed = n == 0;
    if (n > 0)
        gather(s, (size_t)n);
    if (n < 0)
        stream_break(s, errno);
    else if (n == 0)
        stream_die(s, SH_CONNECT_LOST);
    else if (!s->closing && s->stream.ops)
        tell_rx(s, SH_BYTES(buffer, (size_t)n));
}

static void on_shaping(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    struct sh_tcp_stream *s = user;
    s->shape = s->shape_fn(s->shape_user);
    if (is_cut(s)) {
        stream_die(s, SH_CONNECT_LOST);
        return;
    }
    if (!is_blackhole(s))
        event_add(s->readable, NULL);
    wait_to_write(s);
    arm(s->shaping, SH_TCP_SHAPE_MS);
}

/* ---- the driver ---- */

static void stream_send(struct sh_stream *stream, struct sh_bytes bytes)
{
    struct sh_tcp_stream *s = (struct sh_tcp_stream *)stream;
    if (s->dead || s->closing || bytes.n == 0)
        return;
    if (evbuffer_add(s->out, bytes.p, bytes.n) < 0) {
        stream_die(s, SH_ENV_NO_MEMORY);
        return;
    }
    delay_add(s, bytes.n);
    if (evbuffer_get_length(s->out) >= WRITE_NOW)
        write_some(s);
    if (evbuffer_get_length(s->out) >= SH_STREAM_LOW)
        s->was_low = false;
    if (!s->telling)
        wait_to_write(s);
}

static size_t stream_pending(const struct sh_stream *stream)
{
    const struct sh_tcp_stream *s = (const struct sh_tcp_stream *)stream;
    size_t queued = evbuffer_get_length(s->out);
    return s->full ? SH_MAX(queued, (size_t)SH_STREAM_HIGH) : queued;
}

static void stream_close(struct sh_stream *stream)
{
    struct sh_tcp_stream *s = (struct sh_tcp_stream *)stream;
    if (s->closing)
        return;
    s->closing = true;
    s->stream.ops = NULL;
    if (s->dead) {
        if (s->quiet)
            arm(s->linger, QUIET_MS);
        else
            event_active(s->later, EV_TIMEOUT, 1);
        return;
    }
    if (evbuffer_get_length(s->out) > 0)
        write_some(s); /* what the kernel has is sent even if the process ends now */
    else
        flushed(s);
    if (s->dead)
        return;
    event_add(s->readable, NULL);
    wait_to_write(s);
    arm(s->linger, FLUSH_MS);
}

static void on_linger(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    struct sh_tcp_stream *s = user;
    if (s->quiet)
        stream_free(s);
    else
        stream_die(s, SH_CONNECT_LOST);
}

static bool is_shaped(const struct sh_shape *shape)
{
    return shape->cut || shape->blackhole || shape->cut_after > 0 || shape->blackhole_after > 0;
}

static void stream_look(const struct sh_stream *stream, struct sh_path_facts *facts)
{
    const struct sh_tcp_stream *s = (const struct sh_tcp_stream *)stream;
    if (is_shaped(&s->shape)) /* made up here: the kernel knows nothing of it */
        return;
    *facts = (struct sh_path_facts){.phase = SH_PATH_RUN, .error = s->error, .closed = s->closed};
    sh_path_look_stream(s->fd, facts);
    uint32_t bound = 0;
    socklen_t n = sizeof(bound);
    (void)getsockopt(s->fd, SOL_SOCKET, SO_BINDTOIFINDEX, &bound, &n);
    if (s->to.len > 0)
        sh_path_look_way(&s->to, bound, facts);
}

static void read_peer(int fd, struct sh_tcp_address *to)
{
    struct sockaddr_storage name = {.ss_family = AF_UNSPEC};
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    socklen_t n = sizeof(name);
    if (getpeername(fd, (struct sockaddr *)&name, &n) < 0)
        return;
    if (name.ss_family == AF_INET) {
        memcpy(&in, &name, sizeof(in));
        to->len = sizeof(in.sin_addr);
        memcpy(to->bytes, &in.sin_addr, to->len);
    } else if (name.ss_family == AF_INET6) {
        memcpy(&in6, &name, sizeof(in6));
        to->len = IN6_IS_ADDR_LINKLOCAL(&in6.sin6_addr) ? 0 : sizeof(in6.sin6_addr);
        memcpy(to->bytes, &in6.sin6_addr, to->len);
    }
}

static const struct sh_stream_driver driver = {
    .send = stream_send, .pending = stream_pending, .close = stream_close, .look = stream_look};

static bool make_events(struct sh_tcp_stream *s)
{
    s->readable = event_new(s->base, s->fd, EV_READ | EV_PERSIST, on_readable, s);
    s->writable = event_new(s->base, s->fd, EV_WRITE, on_writable, s);
    s->later = event_new(s->base, -1, 0, on_later, s);
    s->pace = event_new(s->base, -1, 0, on_writable, s);
    s->linger = event_new(s->base, -1, 0, on_linger, s);
    s->gather = event_new(s->base, -1, 0, on_gathered, s);
    s->out = evbuffer_new();
    if (s->shape_fn)
        s->shaping = event_new(s->base, -1, 0, on_shaping, s);
    return s->readable && s->writable && s->later && s->pace && s->linger && s->gather && s->out &&
           (s->shaping || !s->shape_fn) && event_add(s->readable, NULL) == 0;
}

struct sh_tcp_stream *sh_tcp_stream_new(struct sh_tcp_owner *owner, int fd, bool accepted)
{
    struct sh_tcp_stream *s = calloc(1, sizeof(*s));
    if (!s) {
        close(fd);
        return NULL;
    }
    s->stream.driver = &driver;
    s->base = owner->base;
    s->fd = fd;
    s->accepted = accepted;
    s->was_low = true;
    s->shape_fn = owner->shape;
    s->shape_user = owner->shape_user;
    s->refilled = sh_now();
    read_peer(fd, &s->to);
    if (!make_events(s)) {
        stream_free(s);
        return NULL;
    }
    s->owner = owner;
    owner->accepted += accepted;
    s->link = &owner->streams;
    s->next = owner->streams;
    if (s->next)
        s->next->link = &s->next;
    owner->streams = s;
    if (s->shape_fn)
        on_shaping(-1, 0, s);
    return s;
}

struct sh_stream *sh_tcp_stream_base(struct sh_tcp_stream *stream)
{
    return &stream->stream;
}

struct sh_shape sh_tcp_shape_now(const struct sh_tcp_owner *owner)
{
    return owner->shape ? owner->shape(owner->shape_user) : (struct sh_shape){0};
}

void sh_tcp_streams_cut(struct sh_tcp_owner *owner, enum sh_cause cause, bool quiet)
{
    for (struct sh_tcp_stream *s = owner->streams; s; s = s->next) {
        s->quiet = s->quiet || (quiet && !s->dead && !s->closing);
        stream_die(s, cause);
    }
}

void sh_tcp_streams_detach(struct sh_tcp_owner *owner)
{
    while (owner->streams) {
        struct sh_tcp_stream *s = owner->streams;
        unlink_stream(s);
        if (s->closing)
            stream_free(s);
    }
}
