/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A scripted wpa_supplicant in the test's own loop: control sockets in a folder, answers by default, faults on demand. */
#ifndef SIMHOP_TESTS_TRANSFER_FAKE_WPA_H
#define SIMHOP_TESTS_TRANSFER_FAKE_WPA_H

#include <event2/event.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "unit/transfer/util.h"

#define FAKE_SOCKETS 4
#define FAKE_LOG     256

struct fake_peer {
    struct sockaddr_un name;
    socklen_t n;
};

struct fake_socket {
    struct fake_wpa *wpa;
    char name[16];
    int fd;
    struct event *readable;
    struct fake_peer attached[4];
    unsigned attached_count;
};

/* What of its answers and events is swallowed: number `at`, or all from it on. */
struct fake_hole {
    bool digs, rest;
    unsigned at, told, swallowed;
    char first[96]; /* that was */
};

struct fake_wpa {
    struct event_base *base;
    char dir[64];
    struct fake_socket sockets[FAKE_SOCKETS];
    const char *group; /* the interface that a group gets */
    bool owner;
    const char *fail;  /* commands that begin so are refused */
    const char *event; /* comes instead of the group's start; from the group's interface */
    bool mute;         /* answers nothing */
    bool silent;       /* tells of no group; its status does */
    bool searches;     /* never comes to an end with a group, and says so */
    bool hangs;   /* does not do what it is asked for a group, and answers nothing from then on */
    bool hidden;  /* a group gets no interface that can be seen */
    bool is_deaf; /* reads no more than it hears */
    unsigned hears;
    bool unheard;  /* more came */
    char ssid[65]; /* of the network that was set, in hexadecimal */
    bool network;  /* it is there */
    bool selected; /* so is the station, on it */
    struct fake_hole hole;
    char log[FAKE_LOG][96];
    unsigned log_count;
};

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static struct fake_socket *fake_socket(struct fake_wpa *w, const char *name)
{
    for (size_t i = 0; i < FAKE_SOCKETS; i++) {
        if (w->sockets[i].fd > 0 && strcmp(w->sockets[i].name, name) == 0)
            return &w->sockets[i];
    }
    return NULL;
}

/* What it is about to tell is not told. */
static bool fake_swallows(struct fake_wpa *w, const char *what)
{
    struct fake_hole *hole = &w->hole;
    unsigned number = hole->told++;
    if (!hole->digs || number < hole->at || (!hole->rest && number != hole->at))
        return false;
    if (hole->swallowed++ == 0)
        snprintf(hole->first, sizeof(hole->first), "%.95s", what);
    return true;
}

static void fake_say(struct fake_socket *s, const struct fake_peer *to, const char *text,
                     const char *what)
{
    if (!fake_swallows(s->wpa, what))
        (void)sendto(s->fd, text, strlen(text), 0, (const struct sockaddr *)&to->name, to->n);
}

static void fake_tell(struct fake_wpa *w, const char *socket, const char *text)
{
    struct fake_socket *s = fake_socket(w, socket);
    for (unsigned i = 0; s && i < s->attached_count; i++)
        fake_say(s, &s->attached[i], text, text);
}

static void fake_open(struct fake_wpa *w, const char *name);

static void fake_close(struct fake_socket *s)
{
    char path[PATH_SIZE];
    event_free(s->readable);
    close(s->fd);
    snprintf(path, sizeof(path), "%s/%s", s->wpa->dir, s->name);
    unlink(path);
    *s = (struct fake_socket){.fd = -1};
}

static const char *ssid_text(const struct fake_wpa *w)
{
    static char text[33];
    size_t n = strlen(w->ssid) / 2;
    for (size_t i = 0; i < n; i++) {
        unsigned octet = 0;
        sscanf(w->ssid + 2 * i, "%2x", &octet);
        text[i] = (char)octet;
    }
    text[n] = '\0';
    return text;
}

static void fake_start(struct fake_wpa *w)
{
    char text[256];
    if (w->silent || w->searches)
        return;
    if (w->event) {
        fake_tell(w, w->group, w->event);
        return;
    }
    snprintf(text, sizeof(text), "<3>P2P-GROUP-STARTED %s %s ssid=\"%s\" freq=2412 go_dev_addr=x",
             w->group, w->owner ? "GO" : "client", ssid_text(w));
    fake_tell(w, "p2p-dev-wlan0", text);
}

static const char *fake_answer(struct fake_wpa *w, struct fake_socket *s, const char *command)
{
    static char reply[256];
    if (w->fail && begins(command, w->fail))
        return "FAIL\n";
    if (strcmp(command, "PING") == 0)
        return "PONG\n";
    if (strcmp(command, "ADD_NETWORK") == 0) {
        w->network = true;
        w->ssid[0] = '\0';
        return "4\n";
    }
    if (begins(command, "SET_NETWORK 4 ssid "))
        snprintf(w->ssid, sizeof(w->ssid), "%.64s", command + strlen("SET_NETWORK 4 ssid "));
    w->selected = w->selected || begins(command, "SELECT_NETWORK");
    if (begins(command, "REMOVE_NETWORK"))
        w->network = w->selected = false;
    if (begins(command, "BSS "))
        return "id=0\nbssid=46:00:00:00:00:01\np2p_device_addr=42:00:00:00:00:01\n";
    if (strcmp(command, "STATUS") == 0 && strcmp(s->name, w->group) == 0 && w->searches)
        return "wpa_state=SCANNING\n";
    if (strcmp(command, "STATUS") == 0 && strcmp(s->name, w->group) == 0) {
        snprintf(reply, sizeof(reply), "ssid=%s\nmode=%s\nwpa_state=COMPLETED\n", ssid_text(w),
                 w->owner ? "P2P GO" : "station");
        return reply;
    }
    if (strcmp(command, "STATUS") == 0 && w->selected) {
        snprintf(reply, sizeof(reply), "ssid=%s\nmode=station\nwpa_state=COMPLETED\n",
                 ssid_text(w));
        return reply;
    }
    if (strcmp(command, "STATUS") == 0)
        return "wpa_state=DISCONNECTED\np2p_device_address=42:00:00:00:00:00\n";
    if (strcmp(command, "LIST_NETWORKS") == 0) {
        snprintf(reply, sizeof(reply), "id\n0\thome\tany\t[CURRENT]\n%s%s%s",
                 w->network ? "4\t" : "", w->network ? ssid_text(w) : "",
                 w->network ? "\tany\t[DISABLED][P2P-PERSISTENT]\n" : "");
        return reply;
    }
    if (begins(command, "P2P_GROUP_ADD") && !w->hidden)
        fake_open(w, w->group);
    if (begins(command, "P2P_GROUP_REMOVE") && fake_socket(w, w->group) &&
        fake_socket(w, w->group) != s)
        fake_close(fake_socket(w, w->group));
    return "OK\n";
}

static void fake_readable(evutil_socket_t fd, short what SH_UNUSED, void *user)
{
    struct fake_socket *s = user;
    struct fake_wpa *w = s->wpa;
    struct fake_peer from = {.n = sizeof(from.name)};
    char command[512];
    if (w->is_deaf && w->log_count >= w->hears) {
        w->unheard = true;
        return;
    }
    ssize_t n =
        recvfrom(fd, command, sizeof(command) - 1, 0, (struct sockaddr *)&from.name, &from.n);
    if (n < 0)
        return;
    command[n] = '\0';
    assert_true(w->log_count < FAKE_LOG);
    snprintf(w->log[w->log_count++], sizeof(w->log[0]), "%.95s", command);
    w->mute = w->mute || (w->hangs && begins(command, "P2P_GROUP_ADD"));
    if (w->mute)
        return;
    if (strcmp(command, "ATTACH") == 0) {
        assert_true(s->attached_count < SH_COUNT(s->attached));
        s->attached[s->attached_count++] = from;
    }
    for (unsigned i = 0; strcmp(command, "DETACH") == 0 && i < s->attached_count; i++) {
        if (s->attached[i].n == from.n && memcmp(&s->attached[i].name, &from.name, from.n) == 0)
            s->attached[i--] = s->attached[--s->attached_count];
    }
    const char *reply = fake_answer(w, s, command);
    fake_say(s, &from, reply, command);
    if (begins(command, "SELECT_NETWORK"))
        fake_tell(w, s->name, "<3>CTRL-EVENT-CONNECTED - ");
    if (begins(command, "SCAN TYPE"))
        fake_tell(w, s->name, "<3>CTRL-EVENT-SCAN-RESULTS ");
    /* Its own events are heard by whoever attached to the group's interface, which is after the answer. */
    if (strcmp(command, "ATTACH") == 0 && strcmp(s->name, w->group) == 0)
        fake_start(w);
}

static void fake_open(struct fake_wpa *w, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct fake_socket *s = fake_socket(w, name);
    if (s)
        return;
    for (size_t i = 0; i < FAKE_SOCKETS && !s; i++)
        s = w->sockets[i].fd <= 0 ? &w->sockets[i] : NULL;
    if (!s)
        fail_msg("more than %d sockets", FAKE_SOCKETS);
    *s = (struct fake_socket){.wpa = w};
    snprintf(s->name, sizeof(s->name), "%s", name);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", w->dir, name);
    s->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(s->fd > 0);
    unlink(address.sun_path);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&address, sizeof(address)), 0);
    s->readable = event_new(w->base, s->fd, EV_READ | EV_PERSIST, fake_readable, s);
    event_add(s->readable, NULL);
}

static void fake_new(struct fake_wpa *w, struct event_base *base, const char *dir,
                     const char *group, bool owner)
{
    *w = (struct fake_wpa){.base = base, .group = group, .owner = owner};
    snprintf(w->dir, sizeof(w->dir), "%s", dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    fake_open(w, "wlan0");
    fake_open(w, "p2p-dev-wlan0");
}

static void fake_free(struct fake_wpa *w)
{
    for (size_t i = 0; i < FAKE_SOCKETS; i++) {
        if (w->sockets[i].fd > 0)
            fake_close(&w->sockets[i]);
    }
}

/* How often a command that begins so came. */
static inline unsigned fake_count(const struct fake_wpa *w, const char *command)
{
    unsigned count = 0;
    for (unsigned i = 0; i < w->log_count; i++)
        count += begins(w->log[i], command);
    return count;
}

#endif
