/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Inside `simhop doctor`: what its checks share. A check is a row of a table; it looks, changes nothing, and gives a finding. What
 * several checks look at (the message bus, the radios) is asked once and kept.
 *
 * Each question to somebody else has a limit of its own; together they stay below SH_DOCTOR_MS, and what hangs all the same (a dead
 * network file system) is ended then with the name of the check.
 */
#ifndef SIMHOP_CLI_DOCTOR_H
#define SIMHOP_CLI_DOCTOR_H

#include "cli/options.h"
#include "pairing/bluez_objects.h"
#include "system/rfkill.h"
#include "transfer/wifi_radio.h"

#define SH_DOCTOR_NM_DIR   "/etc/NetworkManager/system-connections"
#define SH_DOCTOR_MS       12000
#define SH_DOCTOR_PEER_MS  25000 /* with --peer: SH_PROBE_ALL_MS, and some */
#define SH_DOCTOR_ASK_MS   3000  /* a daemon that does not answer within that hangs */
#define SH_DOCTOR_RADIO_MS 1000  /* the kernel, a controller, a control socket */

/* What is known of the message bus and of who is on it. */
struct sh_doctor_bus {
    bool asked;
    enum sh_cause cause; /* of the bus itself */
    char detail[256];
    bool bluetoothd, network_manager, iwd, supplicant; /* have their name on it */
    enum sh_cause objects_cause;                       /* of asking bluetoothd for its objects */
    char objects_detail[256];
    struct sh_bluez *objects; /* NULL: none were got */
    bool filters_known, duplicate_data;
};

/* Of the adapter that share and sync would use. */
struct sh_doctor_hci {
    bool asked;
    enum sh_cause cause; /* of the choice */
    char detail[256];
    const struct sh_bluez_adapter *adapter; /* NULL: none */
};

struct sh_doctor_wifi {
    bool asked;
    enum sh_cause cause; /* of finding an interface */
    char detail[256];
    struct sh_wifi_radio radio;
    const struct sh_wifi_iface *station; /* NULL: none */
};

/* Options, and what was asked so far. */
struct sh_doctor {
    struct sh_common common;
    const char *dir, *nm_dir;
    bool peer;             /* other devices, not this one */
    const char *peer_name; /* of them, only this name; NULL: all that are linked */
    struct sh_doctor_bus bus;
    struct sh_doctor_hci hci;
    struct sh_doctor_wifi wifi;
    struct sh_rfkill switches[SH_RFKILL_TYPES];
    bool switches_asked;
};

enum sh_finding_level { SH_FINE, SH_WARNING, SH_PROBLEM, SH_LEVELS };

/* What scripts want to know of another device, beside a finding. */
struct sh_peer_facts {
    const char *name,
        *address; /* address NULL: the device as a whole, and of these only token_until and last_seen are known */
    unsigned port;
    int64_t token_until, last_seen; /* seconds since 1970 */
    int64_t rtt;                    /* ms; -1: it did not answer */
};

/* What one check found. text is a line for a person; next NULL = that of the cause's table. */
struct sh_finding {
    enum sh_finding_level
        level; /* SH_LEVELS: nothing to say here, since another check has said it or it was not asked for */
    enum sh_cause cause;
    char text[256];
    const char *next;
    const struct sh_peer_facts *peer; /* NULL: of this device */
};

SH_PRINTF(1, 2) struct sh_finding sh_doctor_fine(const char *format, ...);
/* What a function that failed says: its cause, with the detail or the cause's own sentence. */
struct sh_finding sh_doctor_failed(enum sh_finding_level level, enum sh_cause cause,
                                   const char *next);
/* The same with a detail that was kept. */
struct sh_finding sh_doctor_told(enum sh_finding_level level, enum sh_cause cause,
                                 const char *detail, const char *next);
struct sh_finding sh_doctor_nothing(void);

struct sh_check {
    const char *name; /* a contract: scripts look for it */
    struct sh_finding (*run)(struct sh_doctor *doctor);
};
/* Each ends with a row without a name. */
extern const struct sh_check sh_doctor_state_checks[], sh_doctor_sim_checks[],
    sh_doctor_bluetooth_checks[], sh_doctor_wifi_checks[], sh_doctor_lan_checks[],
    sh_doctor_machine_checks[];

/* Can linked devices be reached over a network? Gives several findings, as they are known; within SH_DOCTOR_PEER_MS. */
typedef void (*sh_doctor_say)(const char *name, const struct sh_finding *finding, void *user);
void sh_doctor_peers(const struct sh_doctor *doctor, sh_doctor_say say, void *user);

/* Is there such a file in the state folder? */
bool sh_doctor_has_file(const struct sh_doctor *doctor, const char *name);
/* All checks of the radio that the options name, or with --peer those of linked devices; each finding as it is found. What hangs beyond
 * the limit ends the process with the check's name. Fails with usage.bad-option. */
SH_MUST_USE enum sh_cause sh_doctor_round(struct sh_doctor *doctor, sh_doctor_say found,
                                          void *user);

/* Can this path, or where it would be made, be written? ready and absent: what to say of it then. */
struct sh_finding sh_doctor_writable(const char *path, const char *ready, const char *absent);
/* Is Wi-Fi Direct among the links that may be used? */
bool sh_doctor_wants_wifi(const struct sh_doctor *doctor);
/* The same of networks. */
bool sh_doctor_wants_lan(const struct sh_doctor *doctor);
/* Has this process CAP_NET_ADMIN, and can use it? */
bool sh_doctor_has_net_admin(void);

/* Asks the bus once; within SH_BUS_CALL_MS for the connection and SH_DOCTOR_ASK_MS for bluetoothd. */
const struct sh_doctor_bus *sh_doctor_bus(struct sh_doctor *doctor);
void sh_doctor_bus_clear(struct sh_doctor_bus *bus);
/* Reads the switches once. */
const struct sh_rfkill *sh_doctor_switches(struct sh_doctor *doctor);

#endif
