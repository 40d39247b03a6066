/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What air_hci.c (packets), air_adverts.c (who hears whom) and air_links.c (connections) share. */
#ifndef SIMHOP_TESTS_AIR_INTERNAL_H
#define SIMHOP_TESTS_AIR_INTERNAL_H

#include "air_hci.h"

enum { H4_COMMAND = 1, H4_ACL = 2, H4_SCO = 3, H4_EVENT = 4, H4_ISO = 5 };

enum {
    OP_DISCONNECT = 0x0406,
    OP_RESET = 0x0c03,
    OP_READ_BD_ADDR = 0x1009,
    OP_READ_RSSI = 0x1405,
    OP_LE_READ_BUFFER_SIZE = 0x2002,
    OP_LE_SET_RANDOM_ADDRESS = 0x2005,
    OP_LE_ADV_PARAMETERS = 0x2006,
    OP_LE_ADV_DATA = 0x2008,
    OP_LE_SCAN_RESPONSE = 0x2009,
    OP_LE_ADV_ENABLE = 0x200a,
    OP_LE_SCAN_PARAMETERS = 0x200b,
    OP_LE_SCAN_ENABLE = 0x200c,
    OP_LE_CREATE_CONNECTION = 0x200d,
    OP_LE_CREATE_CANCEL = 0x200e,
    OP_LE_CLEAR_ACCEPT_LIST = 0x2010,
    OP_LE_ADD_ACCEPT_LIST = 0x2011,
    OP_LE_REMOVE_ACCEPT_LIST = 0x2012,
};

enum {
    EVENT_DISCONNECTED = 0x05,
    EVENT_COMMAND_COMPLETE = 0x0e,
    EVENT_COMMAND_STATUS = 0x0f,
    EVENT_LE = 0x3e,
    LE_CONNECTED = 0x01,
    LE_REPORT = 0x02,
    LE_CONNECTED_ENHANCED = 0x0a,
    LE_REPORT_EXTENDED = 0x0d,
};

enum { ADV_IND, ADV_DIRECT, ADV_SCAN_IND, ADV_NONCONN, ADV_DIRECT_LOW, SCAN_RESPONSE = 4 };

#define STATUS_OK           0x00
#define STATUS_UNKNOWN_LINK 0x02
#define STATUS_TIMEOUT      0x08
#define ADV_DATA_MAX        31
#define ACCEPT_LIST_MAX     16
#define SEEN_MAX            64
#define LINKS_MAX           8
#define HELD_MAX            16
#define LE_BUFFERS          8 /* what the kernel is told of, so that data can flow as on real ones */
#define LE_BUFFER_SIZE      251
#define CREATE_CONNECTION_N 25
#define CONNECTED_HANDLE    5 /* where LE Connection Complete has it */
#define NOBODY              AIR_HCI_CONTROLLERS

/* ---- a bounded cursor: what lies beyond the end reads as 0 and makes it bad ---- */

struct cursor {
    const uint8_t *p;
    size_t n;
    bool bad;
};

struct cursor cursor_of(struct sh_bytes bytes);
uint8_t take_u8(struct cursor *c);
uint16_t take_u16(struct cursor *c);
/* n octets, or NULL. */
const uint8_t *take(struct cursor *c, size_t n);

struct address {
    uint8_t type; /* 0 public, 1 random */
    uint8_t octets[6];
};

struct address take_address(struct cursor *c);
bool same_address(const struct address *a, const struct address *b);

/* ---- state ---- */

struct advertiser {
    bool on;
    uint8_t type, own_type;
    struct address direct;
    unsigned interval_ms; /* 0: never said */
    uint8_t data[ADV_DATA_MAX], response[ADV_DATA_MAX];
    uint8_t data_n, response_n;
    uint64_t number;
    sh_ms due;
};

struct scanner {
    bool on, active, accept_list_only, filter_duplicates;
    uint8_t own_type;
    double duty; /* window / interval */
    uint64_t seen[SEEN_MAX];
    unsigned seen_n;
};

struct held {
    size_t n;
    uint8_t octets[AIR_HCI_PACKET_MAX];
};

struct hci_link {
    bool used, incoming, orphan, ending;
    uint16_t handle, far_handle; /* at the other end; 0: not known (yet) */
    unsigned peer;               /* NOBODY if its address is not known */
    uint64_t samples;
    sh_ms far_since;
    uint64_t busy_until_us;
    sh_ms event_at; /* what is held goes then */
    unsigned held_first, held_n;
    struct held held[HELD_MAX];
};

struct controller {
    struct address public_address, random_address;
    struct advertiser adv;
    struct scanner scan;
    struct address accept_list[ACCEPT_LIST_MAX];
    unsigned accept_list_n;
    /* The command that the kernel waits for; it counts when it has succeeded. */
    uint16_t command;
    uint8_t parameters[255];
    uint8_t parameters_n;
    /* A connection that is asked for and not made yet. */
    bool creating;
    uint8_t create[4 + CREATE_CONNECTION_N];
    struct address create_peer;
    double create_duty;
    /* Replies to commands of ours, which the kernel did not send. */
    unsigned swallow_disconnect, swallow_create;
    struct hci_link link[LINKS_MAX];
};

struct air_hci {
    const struct air_hci_ops *ops;
    void *user;
    struct air_hci_settings settings;
    uint64_t chance;
    sh_ms noise_from;
    uint64_t noise_done;
    unsigned n;
    struct controller controller[];
};

/* True with this probability. */
bool air_chance(struct air_hci *air, double probability);
uint64_t air_draw(struct air_hci *air);
void air_to_host(struct air_hci *air, unsigned c, const uint8_t *octets, size_t n);
void air_to_controller(struct air_hci *air, unsigned c, const uint8_t *octets, size_t n);

/* air_adverts.c */
/* A command of these that has succeeded; false if it is none of them. */
bool air_adverts_command(struct air_hci *air, unsigned c, uint16_t op, struct cursor in, sh_ms now);
sh_ms air_adverts_tick(struct air_hci *air, sh_ms now);

/* air_links.c */
/* True: it was taken, and does not go to the controller. */
bool air_links_command(struct air_hci *air, unsigned c, uint16_t op, struct sh_bytes packet);
bool air_links_data(struct air_hci *air, unsigned c, struct sh_bytes packet, sh_ms now);
/* The advertiser was heard by c. */
void air_links_heard(struct air_hci *air, unsigned c, unsigned advertiser);
/* in: the event from its status on; packet: all of it, to be written to. */
void air_links_connected(struct air_hci *air, unsigned c, struct cursor in, uint8_t *packet);
/* ACL data for c gets the handle that it has there. */
void air_links_arrived(struct air_hci *air, unsigned c, uint8_t *packet, size_t n);
void air_links_disconnected(struct air_hci *air, unsigned c, struct cursor in);
void air_links_reset(struct air_hci *air, unsigned c);
struct hci_link *air_links_find(struct air_hci *air, unsigned c, uint16_t handle);
sh_ms air_links_tick(struct air_hci *air, sh_ms now);

/* The address that its advertisements carry, or that it scans and connects with. */
struct address air_own_address(const struct controller *c, uint8_t own_type);

#endif
