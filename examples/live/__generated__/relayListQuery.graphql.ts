/**
 * @generated SignedSource<<483ad5c38e70618a4abff84646c67cb5>>
 * @lightSyntaxTransform
 */

/* tslint:disable */
/* eslint-disable */
// @ts-nocheck

import type { ConcreteRequest } from 'relay-runtime';
export type DeliveryStatus = "CANCELED" | "DELIVERED" | "FAILED" | "HELD" | "PENDING" | "RETRYING" | "SKIPPED" | "%future added value";
export type relayListQuery$variables = {
  endpointId: string;
};
export type relayListQuery$data = {
  readonly deliveries: {
    readonly edges: ReadonlyArray<{
      readonly node: {
        readonly attemptCount: number;
        readonly id: string;
        readonly status: DeliveryStatus;
      };
    }>;
  };
  readonly liveCursor: string;
};
export type relayListQuery = {
  response: relayListQuery$data;
  variables: relayListQuery$variables;
};

const node: ConcreteRequest = (function(){
var v0 = [
  {
    "defaultValue": null,
    "kind": "LocalArgument",
    "name": "endpointId"
  }
],
v1 = {
  "alias": null,
  "args": null,
  "kind": "ScalarField",
  "name": "liveCursor",
  "storageKey": null
},
v2 = {
  "fields": [
    {
      "kind": "Variable",
      "name": "endpointId",
      "variableName": "endpointId"
    }
  ],
  "kind": "ObjectValue",
  "name": "filter"
},
v3 = [
  {
    "alias": null,
    "args": null,
    "concreteType": "DeliveryEdge",
    "kind": "LinkedField",
    "name": "edges",
    "plural": true,
    "selections": [
      {
        "alias": null,
        "args": null,
        "concreteType": "Delivery",
        "kind": "LinkedField",
        "name": "node",
        "plural": false,
        "selections": [
          {
            "alias": null,
            "args": null,
            "kind": "ScalarField",
            "name": "id",
            "storageKey": null
          },
          {
            "alias": null,
            "args": null,
            "kind": "ScalarField",
            "name": "status",
            "storageKey": null
          },
          {
            "alias": null,
            "args": null,
            "kind": "ScalarField",
            "name": "attemptCount",
            "storageKey": null
          },
          {
            "alias": null,
            "args": null,
            "kind": "ScalarField",
            "name": "__typename",
            "storageKey": null
          }
        ],
        "storageKey": null
      },
      {
        "alias": null,
        "args": null,
        "kind": "ScalarField",
        "name": "cursor",
        "storageKey": null
      }
    ],
    "storageKey": null
  },
  {
    "alias": null,
    "args": null,
    "concreteType": "PageInfo",
    "kind": "LinkedField",
    "name": "pageInfo",
    "plural": false,
    "selections": [
      {
        "alias": null,
        "args": null,
        "kind": "ScalarField",
        "name": "endCursor",
        "storageKey": null
      },
      {
        "alias": null,
        "args": null,
        "kind": "ScalarField",
        "name": "hasNextPage",
        "storageKey": null
      }
    ],
    "storageKey": null
  }
],
v4 = [
  (v2/*:: as any*/),
  {
    "kind": "Literal",
    "name": "first",
    "value": 50
  }
];
return {
  "fragment": {
    "argumentDefinitions": (v0/*:: as any*/),
    "kind": "Fragment",
    "metadata": null,
    "name": "relayListQuery",
    "selections": [
      (v1/*:: as any*/),
      {
        "alias": "deliveries",
        "args": [
          (v2/*:: as any*/)
        ],
        "concreteType": "DeliveryConnection",
        "kind": "LinkedField",
        "name": "__relay_deliveries_connection",
        "plural": false,
        "selections": (v3/*:: as any*/),
        "storageKey": null
      }
    ],
    "type": "Query",
    "abstractKey": null
  },
  "kind": "Request",
  "operation": {
    "argumentDefinitions": (v0/*:: as any*/),
    "kind": "Operation",
    "name": "relayListQuery",
    "selections": [
      (v1/*:: as any*/),
      {
        "alias": null,
        "args": (v4/*:: as any*/),
        "concreteType": "DeliveryConnection",
        "kind": "LinkedField",
        "name": "deliveries",
        "plural": false,
        "selections": (v3/*:: as any*/),
        "storageKey": null
      },
      {
        "alias": null,
        "args": (v4/*:: as any*/),
        "filters": [
          "filter"
        ],
        "handle": "connection",
        "key": "relay_deliveries",
        "kind": "LinkedHandle",
        "name": "deliveries"
      }
    ]
  },
  "params": {
    "cacheID": "82bb05d05542b66a9717d4c19033715c",
    "id": null,
    "metadata": {
      "connection": [
        {
          "count": null,
          "cursor": null,
          "direction": "forward",
          "path": [
            "deliveries"
          ]
        }
      ]
    },
    "name": "relayListQuery",
    "operationKind": "query",
    "text": "query relayListQuery(\n  $endpointId: ID!\n) {\n  liveCursor\n  deliveries(first: 50, filter: {endpointId: $endpointId}) {\n    edges {\n      node {\n        id\n        status\n        attemptCount\n        __typename\n      }\n      cursor\n    }\n    pageInfo {\n      endCursor\n      hasNextPage\n    }\n  }\n}\n"
  }
};
})();

(node as any).hash = "45a5d9fbbb0f0a8643e23c33a07980eb";

export default node;
