/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "system/clock.h"
#include "transfer/path_look.h"
#include "transfer/tcp.h"

#define WAIT_MS (SH_DIAL_MS - 200) /* who gives the attempt up for us does not see what we see */

struct sh_tcp_dial {
    struct sh_tcp_dials *dials;
    struct sh_tcp_dial *next;
    unsigned attempt;
    int fd; /* -1: failed at once, or goes into a black hole */
    enum sh_cause cause;
    int error;    /* of connect, or what came of it */
    bool is_real; /* not shaped: there is a way to look at */
    struct sh_tcp_address to;
    uint32_t bound; /* to this interface; 0: to none */
    sh_ms started;
    struct event *event;
};

enum sh_cause sh_tcp_connect_cause(int error, bool quick)
{
    switch (error) {
    case ECONNREFUSED:
    case ECONNRESET:
        return sh_fail(SH_LINK_REFUSED, "%s", strerror(error));
    case ETIMEDOUT:
        return sh_fail(SH_LINK_TIMEOUT, "%s", strerror(error));
    case EHOSTUNREACH:
        if (quick) /* a router or firewall said so; without an answer the kernel takes seconds */
            return sh_fail(SH_LINK_REFUSED, "%s, said at once", strerror(error));
        return sh_fail(SH_LINK_UNREACHABLE, "%s", strerror(error));
    case ENOMEM:
    case ENOBUFS:
        return sh_fail(SH_ENV_NO_MEMORY, "%s", strerror(error));
    default:
        return sh_fail(SH_LINK_UNREACHABLE, "%s", strerror(error));
    }
}

static void dial_free(struct sh_tcp_dial *dial)
{
    for (struct sh_tcp_dial **at = &dial->dials->first; *at; at = &(*at)->next) {
        if (*at == dial) {
            *at = dial->next;
            break;
        }
    }
    if (dial->event)
        event_free(dial->event);
    sh_closep(&dial->fd);
    free(dial);
}

/* Two ends of one socket: a port of the ephemeral range that nobody listens on may be our own. */
static bool is_own(int fd)
{
    struct sockaddr_storage a = {.ss_family = AF_UNSPEC}, b = {.ss_family = AF_UNSPEC};
    socklen_t n = sizeof(a), m = sizeof(b);
    return getsockname(fd, (struct sockaddr *)&a, &n) == 0 &&
           getpeername(fd, (struct sockaddr *)&b, &m) == 0 && n == m && memcmp(&a, &b, n) == 0;
}

static enum sh_cause dial_result(struct sh_tcp_dial *dial, short what)
{
    socklen_t n = sizeof(dial->error);
    if (dial->cause != SH_OK)
        return dial->cause;
    if (what & EV_TIMEOUT)
        return sh_fail(SH_LINK_TIMEOUT, "no answer in %d ms", WAIT_MS);
    if (getsockopt(dial->fd, SOL_SOCKET, SO_ERROR, &dial->error, &n) < 0)
        dial->error = errno;
    if (dial->error != 0)
        return sh_tcp_connect_cause(dial->error, sh_now() - dial->started < SH_PATH_QUICK_MS);
    if (!is_own(dial->fd))
        return SH_OK;
    dial->error = ECONNREFUSED;
    return SH_LINK_REFUSED;
}

static void look(const struct sh_tcp_dial *dial, struct sh_path_facts *facts)
{
    if (!dial->is_real || dial->to.len == 0)
        return;
    *facts = (struct sh_path_facts){.phase = SH_PATH_CONNECT,
                                    .error = dial->error,
                                    .after = sh_now() - dial->started,
                                    .answer = sh_path_read_answer(dial->fd, dial->error)};
    sh_path_look_way(&dial->to, dial->bound, facts);
}

static void on_dialled(evutil_socket_t fd SH_UNUSED, short what, void *user)
{
    struct sh_tcp_dial *dial = user;
    const struct sh_tcp_dials *dials = dial->dials;
    unsigned attempt = dial->attempt;
    enum sh_cause cause = dial_result(dial, what);
    struct sh_path_facts facts = {.phase = SH_PATH_NONE};
    struct sh_tcp_stream *stream = NULL;
    if (cause != SH_OK) {
        look(dial, &facts);
    } else {
        sh_path_record(dial->fd, false);
        stream = sh_tcp_stream_new(dials->owner, dial->fd, false);
        dial->fd = -1;
        cause = stream ? SH_OK : SH_ENV_NO_MEMORY;
    }
    dial_free(dial);
    dials->done(attempt, stream ? sh_tcp_stream_base(stream) : NULL, cause, &facts, dials->user);
}

static int begin_connect(const struct sh_attempt *attempt, const struct sh_tcp_local *local,
                         int *ret_error)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(attempt->port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(attempt->port)};
    bool ipv4 = attempt->address_len == 4;
    memcpy(ipv4 ? (void *)&in.sin_addr : (void *)&in6.sin6_addr, attempt->address,
           attempt->address_len);
    if (!ipv4 && IN6_IS_ADDR_LINKLOCAL(&in6.sin6_addr))
        in6.sin6_scope_id = local->ifindex;
    int fd = sh_tcp_socket(local, ipv4);
    if (fd >= 0) {
        const struct sockaddr *address = ipv4 ? (const void *)&in : (const void *)&in6;
        sh_tcp_socket_options(fd);
        sh_path_record(fd, true);
        if (attempt->segment > 0)
            sh_tcp_segment(fd, attempt->segment);
        if (connect(fd, address, ipv4 ? sizeof(in) : sizeof(in6)) == 0 || errno == EINPROGRESS)
            return fd;
    }
    *ret_error = errno;
    sh_closep(&fd);
    return -1;
}

static void begin_dial(struct sh_tcp_dial *dial, const struct sh_attempt *attempt,
                       const struct sh_tcp_local *local)
{
    struct sh_shape shape = sh_tcp_shape_now(dial->dials->owner);
    if (attempt->address_len != 4 && attempt->address_len != 16)
        dial->cause =
            sh_fail(SH_LINK_UNREACHABLE, "an address of %zu octets", attempt->address_len);
    else if (shape.cut)
        dial->cause = SH_LINK_REFUSED;
    else if (!shape.blackhole)
        dial->fd = begin_connect(attempt, local, &dial->error);
    if (dial->error != 0)
        dial->cause = sh_tcp_connect_cause(dial->error, false);
    dial->is_real = !shape.cut && !shape.blackhole;
    if (attempt->address_len <= sizeof(dial->to.bytes)) {
        dial->to.len = attempt->address_len;
        memcpy(dial->to.bytes, attempt->address, attempt->address_len);
    }
    if (local->iface && local->iface[0])
        dial->bound = if_nametoindex(local->iface);
}

enum sh_cause sh_tcp_dial(struct sh_tcp_dials *dials, const struct sh_attempt *attempt,
                          const struct sh_tcp_local *local)
{
    static const struct timeval limit = {.tv_sec = WAIT_MS / 1000,
                                         .tv_usec = WAIT_MS % 1000 * 1000};
    struct sh_tcp_dial *dial = calloc(1, sizeof(*dial));
    if (!dial)
        return SH_ENV_NO_MEMORY;
    *dial = (struct sh_tcp_dial){.dials = dials,
                                 .next = dials->first,
                                 .attempt = attempt->id,
                                 .fd = -1,
                                 .started = sh_now()};
    dials->first = dial;
    begin_dial(dial, attempt, local);
    dial->event =
        event_new(dials->owner->base, dial->fd, dial->fd >= 0 ? EV_WRITE : 0, on_dialled, dial);
    if (!dial->event || event_add(dial->event, &limit) < 0) {
        dial_free(dial);
        return SH_ENV_NO_MEMORY;
    }
    if (dial->cause != SH_OK)
        event_active(dial->event, EV_WRITE, 1);
    return SH_OK;
}

void sh_tcp_dial_cancel(struct sh_tcp_dials *dials, unsigned attempt)
{
    for (struct sh_tcp_dial *dial = dials->first; dial; dial = dial->next) {
        if (dial->attempt == attempt) {
            dial_free(dial);
            return;
        }
    }
}

size_t sh_tcp_dials_list(const struct sh_tcp_dials *dials, unsigned *attempts, size_t max)
{
    size_t count = 0;
    for (const struct sh_tcp_dial *dial = dials->first; dial && count < max; dial = dial->next)
        attempts[count++] = dial->attempt;
    return count;
}

void sh_tcp_dials_clear(struct sh_tcp_dials *dials)
{
    while (dials->first)
        dial_free(dials->first);
}
