/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The kernel's Bluetooth with controllers behind it, in the loop of what is tested: the sockets of pairing/hci_socket.h, and the answers to
 * the three commands that are sent by them. On demand it plays a trick instead of an answer.
 */
#ifndef SIMHOP_TESTS_FAKE_HCI_H
#define SIMHOP_TESTS_FAKE_HCI_H

#include <bluetooth/bluetooth.h>
#include <bluetooth/hci.h>
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pairing/hci_packet.h"
#include "pairing/hci_socket.h"
#include "pairing/mgmt_packet.h"
#include "system/clock.h"

#define FAKE_ENDS     12
#define FAKE_LATE     128
#define FAKE_TURN_MS  50
#define FAKE_SETTINGS (SH_MGMT_POWERED | SH_MGMT_LE)

enum fake_trick {
    FAKE_SWALLOWS,
    FAKE_LATE_700,
    FAKE_LATE_2500,
    FAKE_OF_ANOTHER, /* connection, or controller */
    FAKE_FAILS,
    FAKE_FAILS_BARE, /* by an event that does not say for which connection */
    FAKE_GONE,
    FAKE_REFUSES,
    FAKE_NO_LEVEL,
    FAKE_CUTS,
    FAKE_CLOSES,
    FAKE_RESETS,
    FAKE_FULL,   /* and takes nothing more */
    FAKE_FLOODS, /* tells other things, without end */
    FAKE_TRICKS
};

enum fake_hole { FAKE_NONE, FAKE_ONE, FAKE_REST_OF_RAW, FAKE_REST, FAKE_HOLES };

struct fake_end {
    int fd, theirs;
    uint16_t index, channel;
    bool full, floods;
    struct event *readable;
};

struct fake_late {
    sh_ms at;
    struct fake_end *end; /* NULL: free */
    uint8_t bytes[32];
    size_t n;
};

static struct fake_hci {
    struct event_base *base;
    struct event *turn;
    struct fake_end ends[FAKE_ENDS];
    struct fake_late late[FAKE_LATE];
    bool no_raw;            /* may not be opened */
    uint16_t silent_handle; /* of this connection the controller says nothing; 0: none */
    /* The trick is played instead of this answer of this controller, or of it and all that follow. */
    enum fake_trick trick;
    enum fake_hole hole;
    uint16_t index;
    unsigned at, told, played;
    unsigned asked; /* in all */
    uint8_t last[32];
} fake;

static inline void fake_close(struct fake_end *end)
{
    for (size_t i = 0; i < FAKE_LATE; i++) {
        if (fake.late[i].end == end)
            fake.late[i].end = NULL;
    }
    if (end->readable)
        event_free(end->readable);
    if (end->fd > 0)
        close(end->fd);
    *end = (struct fake_end){.fd = -1};
}

static inline void fake_send(struct fake_end *end, const uint8_t *bytes, size_t n)
{
    (void)!send(end->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static inline void fake_send_late(struct fake_end *end, const uint8_t *bytes, size_t n, sh_ms at)
{
    for (size_t i = 0; i < FAKE_LATE; i++) {
        struct fake_late *late = &fake.late[i];
        if (late->end)
            continue;
        *late = (struct fake_late){.at = at, .end = end, .n = n};
        memcpy(late->bytes, bytes, n);
        return;
    }
    fail_msg("more than %d late answers", FAKE_LATE);
}

/* ---- what is answered ---- */

static inline size_t fake_raw_answer(const uint8_t *asked, enum fake_trick trick, uint8_t out[32])
{
    uint8_t plain[] = {0x04, 0x0e, 7, 1, 0x05, 0x14, 0, asked[4], asked[5], 0xd3};
    uint8_t bare[] = {0x04, 0x0f, 4,   trick == FAKE_REFUSES ? SH_HCI_UNKNOWN_COMMAND : 0x0c,
                      1,    0x05, 0x14};
    if (trick == FAKE_REFUSES || trick == FAKE_FAILS_BARE) {
        memcpy(out, bare, sizeof(bare));
        return sizeof(bare);
    }
    plain[6] = trick == FAKE_FAILS ? 0x0c : trick == FAKE_GONE ? SH_HCI_UNKNOWN_CONNECTION : 0;
    plain[7] ^= trick == FAKE_OF_ANOTHER;
    plain[9] = trick == FAKE_NO_LEVEL ? SH_HCI_NO_RSSI : plain[9];
    memcpy(out, plain, sizeof(plain));
    return sizeof(plain);
}

static inline uint8_t fake_mgmt_status(enum fake_trick trick)
{
    switch ((int)trick) {
    case FAKE_FAILS:
        return 0x03;
    case FAKE_FAILS_BARE:
        return 0x0a; /* busy */
    case FAKE_GONE:
        return SH_MGMT_NOT_CONNECTED;
    case FAKE_REFUSES:
        return SH_MGMT_PERMISSION_DENIED;
    default:
        return 0;
    }
}

static inline size_t fake_mgmt_answer(const uint8_t *asked, enum fake_trick trick, uint8_t out[32])
{
    uint8_t status = fake_mgmt_status(trick);
    bool info = asked[0] == SH_MGMT_READ_INFO;
    bool bare = trick == FAKE_REFUSES || trick == FAKE_FAILS_BARE || (info && status != 0);
    uint8_t n = bare ? 3 : info ? 23 : 13;
    const uint8_t head[] = {bare ? 2 : 1, 0, asked[2], asked[3], n, 0, asked[0], 0, status};
    memset(out, 0, 32);
    memcpy(out, head, sizeof(head));
    if (info) {
        out[2] ^= trick == FAKE_OF_ANOTHER;
        out[9 + 13] = FAKE_SETTINGS & 0xff;
        out[9 + 14] = FAKE_SETTINGS >> 8;
    } else if (!bare) {
        memcpy(out + 9, asked + 6, 7);
        out[9] ^= trick == FAKE_OF_ANOTHER;
        out[16] = status != 0 || trick == FAKE_NO_LEVEL ? 127 : 0xd3;
    }
    return 6U + n;
}

static inline void fake_fill(struct fake_end *end)
{
    static const uint8_t junk[1024];
    while (send(end->theirs, junk, sizeof(junk), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
    }
    event_del(end->readable);
    end->full = true;
}

static inline void fake_answer(struct fake_end *end, const uint8_t *asked, enum fake_trick trick)
{
    uint8_t out[32];
    size_t n = end->channel == HCI_CHANNEL_RAW ? fake_raw_answer(asked, trick, out)
                                               : fake_mgmt_answer(asked, trick, out);
    switch ((int)trick) {
    case FAKE_SWALLOWS:
        return;
    case FAKE_LATE_700:
    case FAKE_LATE_2500:
        fake_send_late(end, out, n, sh_now() + (trick == FAKE_LATE_700 ? 700 : 2500));
        return;
    case FAKE_CLOSES:
    case FAKE_RESETS:
        fake_close(end);
        return;
    case FAKE_FULL:
        fake_fill(end);
        return;
    case FAKE_FLOODS:
        end->floods = true;
        return;
    default:
        fake_send(end, out, trick == FAKE_CUTS ? n / 2 : n);
    }
}

/* ---- its life ---- */

static inline enum fake_trick fake_trick_for(const struct fake_end *end, uint16_t index)
{
    if (index != fake.index)
        return FAKE_TRICKS;
    unsigned number = fake.told++;
    bool plays = fake.hole == FAKE_ONE ? number == fake.at
                 : fake.hole == FAKE_REST_OF_RAW
                     ? number >= fake.at && end->channel == HCI_CHANNEL_RAW
                     : fake.hole == FAKE_REST && number >= fake.at;
    fake.played += plays;
    return plays ? fake.trick : FAKE_TRICKS;
}

static inline void fake_on_readable(evutil_socket_t fd, short what SH_UNUSED, void *user)
{
    struct fake_end *end = user;
    uint8_t asked[32] = {0};
    /* One that is left unread makes the end of it a reset. */
    ssize_t n = recv(fd, asked, sizeof(asked), MSG_DONTWAIT | MSG_PEEK);
    if (n <= 0) {
        fake_close(end);
        return;
    }
    fake.asked++;
    memcpy(fake.last, asked, sizeof(asked));
    uint16_t index = end->channel == HCI_CHANNEL_RAW ? end->index : asked[2];
    enum fake_trick trick = fake_trick_for(end, index);
    if (end->channel == HCI_CHANNEL_RAW && asked[4] == fake.silent_handle && fake.silent_handle)
        trick = FAKE_SWALLOWS;
    if (trick != FAKE_RESETS)
        n = recv(fd, asked, sizeof(asked), MSG_DONTWAIT);
    fake_answer(end, asked, trick);
}

/* Of one that is not read any more it is not heard otherwise. */
static inline bool fake_is_left(const struct fake_end *end)
{
    static const struct timespec none = {.tv_sec = 0};
    struct pollfd look = {.fd = end->fd, .events = POLLRDHUP};
    return syscall(SYS_ppoll, &look, 1, &none, NULL, 0) > 0;
}

static inline void fake_on_turn(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED,
                                void *user SH_UNUSED)
{
    static const uint8_t other[] = {0x04, 0x0e, 4, 1, 0x03, 0x0c, 0};
    static const uint8_t other_mgmt[] = {0x06, 0, 0, 0, 4, 0, 0xc1, 0x2e, 0, 0};
    for (size_t i = 0; i < FAKE_LATE; i++) {
        struct fake_late *late = &fake.late[i];
        if (!late->end || sh_now() < late->at)
            continue;
        fake_send(late->end, late->bytes, late->n);
        late->end = NULL;
    }
    for (size_t i = 0; i < FAKE_ENDS; i++) {
        struct fake_end *end = &fake.ends[i];
        if (end->fd > 0 && end->floods && end->channel == HCI_CHANNEL_RAW)
            fake_send(end, other, sizeof(other));
        else if (end->fd > 0 && end->floods)
            fake_send(end, other_mgmt, sizeof(other_mgmt));
        if (end->full && fake_is_left(end))
            fake_close(end);
    }
}

/* Of this channel: how many sockets are open. */
static inline unsigned fake_open_ends(uint16_t channel)
{
    unsigned open = 0;
    for (size_t i = 0; i < FAKE_ENDS; i++)
        open += fake.ends[i].fd > 0 && fake.ends[i].channel == channel;
    return open;
}

int sh_hci_socket(uint16_t index, uint16_t channel)
{
    int fds[2];
    size_t i = 0;
    if (channel == HCI_CHANNEL_RAW && fake.no_raw) {
        errno = EPERM;
        return -1;
    }
    while (i < FAKE_ENDS && fake.ends[i].fd > 0)
        i++;
    assert_true(i < FAKE_ENDS);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    struct fake_end *end = &fake.ends[i];
    *end = (struct fake_end){.fd = fds[1], .theirs = fds[0], .index = index, .channel = channel};
    end->readable = event_new(fake.base, fds[1], EV_READ | EV_PERSIST, fake_on_readable, end);
    assert_int_equal(event_add(end->readable, NULL), 0);
    return fds[0];
}

int sh_hci_socket_of_command(uint16_t index, uint16_t opcode)
{
    assert_int_equal(opcode, SH_HCI_READ_RSSI);
    return sh_hci_socket(index, HCI_CHANNEL_RAW);
}

static inline void fake_up(void)
{
    static const struct timeval often = {.tv_usec = FAKE_TURN_MS * 1000};
    fake = (struct fake_hci){.base = event_base_new()};
    fake.turn = event_new(fake.base, -1, EV_PERSIST, fake_on_turn, NULL);
    assert_int_equal(event_add(fake.turn, &often), 0);
}

static inline void fake_dig(enum fake_hole hole, uint16_t index, unsigned at)
{
    fake.hole = hole;
    fake.index = index;
    fake.at = at;
    fake.told = fake.played = 0;
    for (size_t i = 0; i < FAKE_ENDS; i++) {
        if (hole == FAKE_NONE && (fake.ends[i].full || fake.ends[i].floods))
            fake_close(&fake.ends[i]);
    }
}

static inline void fake_down(void)
{
    for (size_t i = 0; i < FAKE_ENDS; i++)
        fake_close(&fake.ends[i]);
    event_free(fake.turn);
    event_base_free(fake.base);
}

#endif
