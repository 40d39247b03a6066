/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The air between virtual Bluetooth controllers, as an engine: HCI packets (Bluetooth Core 5.4 vol 4
 * part A, H:4 framing; part E) go through it on their way between a kernel ("host") and an emulated
 * controller that knows neither distance nor time. No I/O; the pump is air.c.
 *
 * - Advertising reports of the emulation are dropped. Each advertiser is heard anew at its own interval, with the data that
 *   it has then and the address that its own commands say, by everyone who scans and is in range.
 * - A connection that is asked for is made when the advertiser is heard, or never.
 * - Read RSSI and the reports get their level from the caller.
 * - Each end of a connection has its own handle, also where the emulation tells it the other's.
 * - ACL data goes at the rate of the settings; what is out of range waits, and after 2 s the
 *   connection ends with "connection timeout" on both sides.
 *
 * Legacy advertising only (section 7.8.5 to 7.8.13): the emulated dual-mode controllers have no other.
 */
#ifndef SIMHOP_TESTS_AIR_HCI_H
#define SIMHOP_TESTS_AIR_HCI_H

#include "proto/base.h"

#define AIR_HCI_CONTROLLERS 4 /* as many senders as two bits can tell */
#define AIR_HCI_PACKET_MAX  (5 + 1024)
#define AIR_HCI_SUPERVISION 2000 /* ms */

struct air_hci;

struct air_hci_ops {
    /* One whole packet to a kernel, or to an emulated controller. */
    void (*to_host)(unsigned controller, struct sh_bytes packet, void *user);
    void (*to_controller)(unsigned controller, struct sh_bytes packet, void *user);
    bool (*in_range)(unsigned a, unsigned b, void *user);
    /* The level at `to` of the nth advertisement of `from`; of the nth sample of a connection, which
     * was made by the other side if incoming. dBm. */
    int (*advert_dbm)(unsigned from, unsigned to, uint64_t n, void *user);
    int (*link_dbm)(unsigned from, unsigned to, uint64_t n, bool incoming, void *user);
};

struct air_hci_settings {
    unsigned interval_ms; /* of an advertiser that never said one */
    uint64_t rate;        /* octets a second each way, 0 = no limit */
    double drop;          /* of the advertisements, 0 to 1 */
    bool mute;            /* no advertisement is heard */
    bool hold;            /* no ACL data passes, and no connection ends of that */
    bool cut;             /* connections end now */
    bool
        strict_duplicates; /* Filter_Duplicates means once a scan; many controllers are not so strict */
    unsigned noise;        /* adverts a second of others, with our UUID and garbage */
};

/* NULL without memory. ops and user stay the caller's. */
struct air_hci *air_hci_new(unsigned controllers, const struct air_hci_ops *ops, void *user);
void air_hci_free(struct air_hci *air);
void air_hci_set(struct air_hci *air, const struct air_hci_settings *settings);

/* How long the packet is that starts here: 0 = not enough octets to tell, SIZE_MAX = no H:4 packet. */
size_t air_hci_packet_size(struct sh_bytes head);

/* One whole packet. What is malformed or not understood passes unchanged. */
void air_hci_from_host(struct air_hci *air, unsigned controller, struct sh_bytes packet, sh_ms now);
void air_hci_from_controller(struct air_hci *air, unsigned controller, struct sh_bytes packet,
                             sh_ms now);

/* The controller has no power any more, or is reset: it is silent, and at the other ends its connections time out. */
void air_hci_off(struct air_hci *air, unsigned controller);

/* Does what is due and says when to call again. */
sh_ms air_hci_tick(struct air_hci *air, sh_ms now);

#endif
