/* limits.h: every bound on what a configuration file may hold, before and
 * beside the bounds of single values (config/directive.def). */
#ifndef REPRISE_CONFIG_LIMITS_H
#define REPRISE_CONFIG_LIMITS_H

#define CONFIG_FILE_MAX (16u << 20) /* bytes */
#define CONFIG_NODES_MAX 1000000u   /* values, lists and sections, all counted */
#define CONFIG_DEPTH_MAX 8u         /* sections and lists in one another */
#define CONFIG_SCALAR_MAX 8192u     /* bytes of one value */
#define CONFIG_ENTRIES_MAX 100000   /* of one list */
#define CONFIG_NAME_MAX 63          /* bytes of a profile's, pool's or virtual server's name */
#define CONFIG_HOST_NAME_MAX 253    /* bytes; RFC 1035 2.3.4 without the root's dot */
#define CONFIG_HOST_LABEL_MAX 63    /* bytes; RFC 1035 2.3.4 */
#define CONFIG_SOCKET_PATH_MAX 107  /* bytes; sun_path without its NUL */
#define CONFIG_ALPN_NAME_MAX 255    /* bytes; RFC 7301 3.1 */

/* Seconds from a ticket key's making to its end. RFC 9325 3.4 has keys changed regularly, such
 * as once a week; here the whole of a key's life is within that. */
#define CONFIG_TICKET_KEY_LIFE_MAX_S 604800u

#endif
