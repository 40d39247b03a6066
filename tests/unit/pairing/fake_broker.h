/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * In place of dbus-daemon: a message bus inside the test's own loop (as much of it as who is tested and who stands in for
 * bluetoothd need), so that nothing happens outside of it while a virtual clock jumps. And it can swallow what the radio is to
 * get: its own answers, and bluetoothd's answers, signals and calls.
 */
#ifndef SIMHOP_TESTS_FAKE_BROKER_H
#define SIMHOP_TESTS_FAKE_BROKER_H

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "fake_bus.h"

#define BROKER_PEERS 16
#define BROKER_CALLS 64
#define BROKER_RULES 16
#define BUS_NAME     "org.freedesktop.DBus"

enum broker_hole {
    HOLE_NONE,
    HOLE_ONE,  /* message number `at` is swallowed */
    HOLE_REST, /* so is all that comes after it */
    HOLES,
};

struct broker_peer {
    sd_bus *sd; /* NULL: a free place */
    struct event *readable;
    char name[16];
    bool stands_in; /* it gets all that it is to get */
    char rules[BROKER_RULES][512];
    unsigned rule_count;
};

/* A call that was passed on and is not answered yet. */
struct broker_call {
    sd_bus_message *call; /* as it came; NULL: a free place */
    struct broker_peer *from, *to;
    uint64_t cookie; /* as it was passed on */
};

struct broker {
    int fd;
    struct event *acceptable;
    unsigned names;
    struct broker_peer peers[BROKER_PEERS];
    struct broker_call calls[BROKER_CALLS];
    struct broker_peer *bluez; /* who owns org.bluez; NULL: nobody */
    bool stands_in;            /* whoever comes now stands in for bluetoothd */
    void (*left)(void);        /* somebody else has left; may be NULL */

    enum broker_hole hole;
    unsigned at, told, swallowed;
    char first[96]; /* that was swallowed */
};

static struct broker broker;

/* From now on. */
static inline void broker_dig(enum broker_hole hole, unsigned at)
{
    broker.hole = hole;
    broker.at = at;
    broker.told = broker.swallowed = 0;
    broker.first[0] = '\0';
}

static inline bool broker_swallows(const struct broker_peer *to, const char *kind, const char *what)
{
    if (broker.hole == HOLE_NONE || to->stands_in)
        return false;
    unsigned number = broker.told++;
    if (number < broker.at || (broker.hole == HOLE_ONE && number > broker.at))
        return false;
    if (broker.swallowed++ == 0)
        snprintf(broker.first, sizeof(broker.first), "%s %s", kind, what);
    return true;
}

/* The message is given away; whoever it is for may have left in this moment. */
static inline void broker_send(const struct broker_peer *to, sd_bus_message *m,
                               uint64_t *ret_cookie)
{
    (void)sd_bus_send(to->sd, m, ret_cookie);
    sd_bus_message_unref(m);
}

/* false: it was swallowed. */
static inline bool broker_answer(const struct broker_peer *to, sd_bus_message *m,
                                 const char *to_what)
{
    if (broker_swallows(to, "the answer to", to_what)) {
        sd_bus_message_unref(m);
        return false;
    }
    broker_send(to, m, NULL);
    return true;
}

/* Has it asked for what this interface signals? More than that of a rule is not looked at. */
static inline bool broker_listens(const struct broker_peer *peer, const char *interface)
{
    char wanted[128];
    snprintf(wanted, sizeof(wanted), "interface='%s'", interface);
    for (unsigned i = 0; i < peer->rule_count; i++) {
        if (strstr(peer->rules[i], wanted))
            return true;
    }
    return false;
}

/* A rule whose answer is swallowed was not taken. */
static inline void broker_add_rule(struct broker_peer *peer, sd_bus_message *call)
{
    const char *rule = NULL;
    assert_true(peer->rule_count < BROKER_RULES);
    fake_must(sd_bus_message_read(call, "s", &rule));
    snprintf(peer->rules[peer->rule_count], sizeof(peer->rules[0]), "%s", rule);
    peer->rule_count++;
}

/* ---- the bus itself ---- */

static inline void broker_owner_is(struct broker_peer *owner)
{
    const char *before = broker.bluez ? broker.bluez->name : "", *now = owner ? owner->name : "";
    for (size_t i = 0; i < BROKER_PEERS; i++) {
        struct broker_peer *peer = &broker.peers[i];
        sd_bus_message *m = NULL;
        if (!peer->sd || peer == owner || peer == broker.bluez || !broker_listens(peer, BUS_NAME) ||
            broker_swallows(peer, "the signal", "NameOwnerChanged"))
            continue;
        fake_must(sd_bus_message_new_signal(peer->sd, &m, "/org/freedesktop/DBus", BUS_NAME,
                                            "NameOwnerChanged"));
        fake_must(sd_bus_message_append(m, "sss", "org.bluez", before, now));
        fake_must(sd_bus_message_set_sender(m, BUS_NAME));
        broker_send(peer, m, NULL);
    }
    broker.bluez = owner;
}

static inline void broker_asked(struct broker_peer *peer, sd_bus_message *call)
{
    const char *member = sd_bus_message_get_member(call);
    sd_bus_message *m = NULL;
    if (strcmp(member, "GetNameOwner") == 0 && !broker.bluez) {
        const sd_bus_error none =
            SD_BUS_ERROR_MAKE_CONST("org.freedesktop.DBus.Error.NameHasNoOwner", "nobody");
        fake_must(sd_bus_message_new_method_error(call, &m, &none));
    } else {
        fake_must(sd_bus_message_new_method_return(call, &m));
        if (strcmp(member, "Hello") == 0)
            fake_must(sd_bus_message_append(m, "s", peer->name));
        else if (strcmp(member, "GetNameOwner") == 0)
            fake_must(sd_bus_message_append(m, "s", broker.bluez->name));
        else if (strcmp(member, "RequestName") == 0)
            fake_must(sd_bus_message_append(m, "u", 1));
    }
    fake_must(sd_bus_message_set_sender(m, BUS_NAME));
    if (strcmp(member, "RequestName") == 0)
        broker_owner_is(peer);
    if (broker_answer(peer, m, member) && strcmp(member, "AddMatch") == 0)
        broker_add_rule(peer, call);
}

/* ---- between the two ---- */

static inline struct broker_peer *broker_find(const char *name)
{
    if (strcmp(name, "org.bluez") == 0)
        return broker.bluez;
    for (size_t i = 0; i < BROKER_PEERS; i++) {
        if (broker.peers[i].sd && strcmp(broker.peers[i].name, name) == 0)
            return &broker.peers[i];
    }
    return NULL;
}

static inline void broker_keep(const struct broker_call *kept)
{
    struct broker_call *place = NULL;
    for (size_t i = 0; i < BROKER_CALLS && !place; i++)
        place = broker.calls[i].call ? NULL : &broker.calls[i];
    if (!place)
        fail_msg("more than %d calls wait", BROKER_CALLS);
    *place = *kept;
    sd_bus_message_ref(kept->call);
}

static inline void broker_forget(struct broker_call *kept)
{
    sd_bus_message_unref(kept->call);
    *kept = (struct broker_call){.call = NULL};
}

static inline void broker_call(struct broker_peer *from, sd_bus_message *call)
{
    struct broker_call kept = {
        .call = call, .from = from, .to = broker_find(sd_bus_message_get_destination(call))};
    const char *member = sd_bus_message_get_member(call);
    bool expected = sd_bus_message_get_expect_reply(call) > 0;
    sd_bus_message *m = NULL;
    if (!kept.to) {
        const sd_bus_error none =
            SD_BUS_ERROR_MAKE_CONST("org.freedesktop.DBus.Error.ServiceUnknown", "nobody");
        if (!expected)
            return;
        fake_must(sd_bus_message_new_method_error(call, &m, &none));
        (void)broker_answer(from, m, member);
        return;
    }
    if (broker_swallows(kept.to, "the call", member))
        return;
    fake_must(sd_bus_message_new_method_call(kept.to->sd, &m, sd_bus_message_get_destination(call),
                                             sd_bus_message_get_path(call),
                                             sd_bus_message_get_interface(call), member));
    fake_must(sd_bus_message_set_sender(m, from->name));
    fake_must(sd_bus_message_set_expect_reply(m, expected));
    fake_must(sd_bus_message_copy(m, call, true));
    broker_send(kept.to, m, &kept.cookie);
    if (expected)
        broker_keep(&kept);
}

static inline void broker_reply(struct broker_peer *from, sd_bus_message *reply)
{
    uint64_t cookie = 0;
    fake_must(sd_bus_message_get_reply_cookie(reply, &cookie));
    for (size_t i = 0; i < BROKER_CALLS; i++) {
        struct broker_call *kept = &broker.calls[i];
        sd_bus_message *m = NULL;
        if (!kept->call || kept->to != from || kept->cookie != cookie)
            continue;
        const sd_bus_error *error = sd_bus_message_get_error(reply);
        if (error)
            fake_must(sd_bus_message_new_method_error(kept->call, &m, error));
        else
            fake_must(sd_bus_message_new_method_return(kept->call, &m));
        fake_must(sd_bus_message_set_sender(m, from->name));
        if (!error)
            fake_must(sd_bus_message_copy(m, reply, true));
        (void)broker_answer(kept->from, m, sd_bus_message_get_member(kept->call));
        broker_forget(kept);
        return;
    }
}

static inline void broker_signal(const struct broker_peer *from, sd_bus_message *signal)
{
    for (size_t i = 0; i < BROKER_PEERS; i++) {
        struct broker_peer *to = &broker.peers[i];
        sd_bus_message *m = NULL;
        if (!to->sd || to == from || !broker_listens(to, sd_bus_message_get_interface(signal)) ||
            broker_swallows(to, "the signal", sd_bus_message_get_member(signal)))
            continue;
        fake_must(sd_bus_message_new_signal(to->sd, &m, sd_bus_message_get_path(signal),
                                            sd_bus_message_get_interface(signal),
                                            sd_bus_message_get_member(signal)));
        fake_must(sd_bus_message_set_sender(m, from->name));
        fake_must(sd_bus_message_copy(m, signal, true));
        broker_send(to, m, NULL);
        fake_must(sd_bus_message_rewind(signal, true));
    }
}

static inline int broker_heard(sd_bus_message *m, void *user, sd_bus_error *error SH_UNUSED)
{
    struct broker_peer *peer = user;
    const char *to = sd_bus_message_get_destination(m);
    uint8_t type = 0;
    fake_must(sd_bus_message_get_type(m, &type));
    if (type == SD_BUS_MESSAGE_SIGNAL)
        broker_signal(peer, m);
    else if (type != SD_BUS_MESSAGE_METHOD_CALL)
        broker_reply(peer, m);
    else if (strcmp(to, BUS_NAME) == 0)
        broker_asked(peer, m);
    else
        broker_call(peer, m);
    return 1;
}

/* ---- life ---- */

static inline void broker_leaves(struct broker_peer *peer)
{
    for (size_t i = 0; i < BROKER_CALLS; i++) {
        struct broker_call *kept = &broker.calls[i];
        if (kept->call && (kept->from == peer || kept->to == peer))
            broker_forget(kept);
    }
    event_free(peer->readable);
    sd_bus_close_unref(peer->sd);
    peer->sd = NULL;
    if (broker.bluez == peer)
        broker_owner_is(NULL);
    if (broker.left && !peer->stands_in)
        broker.left();
}

static inline void broker_readable(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    struct broker_peer *peer = user;
    int r = 1;
    /* What it has to say fits into the socket. */
    while (r > 0 || (r == 0 && sd_bus_get_events(peer->sd) & POLLOUT))
        r = sd_bus_process(peer->sd, NULL);
    if (r < 0)
        broker_leaves(peer);
}

static inline void broker_accept(evutil_socket_t fd, short what SH_UNUSED, void *user SH_UNUSED)
{
    struct broker_peer *peer = NULL;
    for (size_t i = 0; i < BROKER_PEERS && !peer; i++)
        peer = broker.peers[i].sd ? NULL : &broker.peers[i];
    if (!peer)
        fail_msg("more than %d connections", BROKER_PEERS);
    int new = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(new >= 0);
    snprintf(peer->name, sizeof(peer->name), ":1.%u", ++broker.names);
    peer->stands_in = broker.stands_in;
    peer->rule_count = 0;
    fake_must(sd_bus_new(&peer->sd));
    fake_must(sd_bus_set_fd(peer->sd, new, new));
    fake_must(sd_bus_set_server(
        peer->sd, 1,
        SD_ID128_MAKE(53, 69, 6d, 68, 6f, 70, 31, 53, 69, 6d, 68, 6f, 70, 31, 53, 69)));
    fake_must(sd_bus_start(peer->sd));
    fake_must(sd_bus_add_filter(peer->sd, NULL, broker_heard, peer));
    peer->readable = event_new(fake_bus.base, new, EV_READ | EV_PERSIST, broker_readable, peer);
    assert_int_equal(event_add(peer->readable, NULL), 0);
    event_active(peer->readable, EV_READ, 1); /* sd-bus has read already */
}

/* Where fake_bus_set_up said that the bus is. */
static inline void broker_start(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    broker = (struct broker){.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    strcpy(at.sun_path, fake_bus.socket_path);
    assert_int_equal(bind(broker.fd, (const struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(broker.fd, BROKER_PEERS), 0);
    broker.acceptable =
        event_new(fake_bus.base, broker.fd, EV_READ | EV_PERSIST, broker_accept, NULL);
    assert_int_equal(event_add(broker.acceptable, NULL), 0);
}

static inline void broker_end(void)
{
    broker.hole = HOLE_NONE;
    for (size_t i = 0; i < BROKER_PEERS; i++) {
        if (broker.peers[i].sd)
            broker_leaves(&broker.peers[i]);
    }
    event_free(broker.acceptable);
    close(broker.fd);
}

#endif
