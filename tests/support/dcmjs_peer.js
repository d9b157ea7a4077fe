// dcmjs-dimse as a Storage SCU or SCP, for the tests.
//   node dcmjs_peer.js send PORT WINDOW FILE...   prints the status of each answer, or "error TEXT";
//   WINDOW: requests that it proposes to have open at once (PS3.7 D.3.3.3)
//   node dcmjs_peer.js receive PORT FOLDER [CLASS [NODE]]   keeps what it gets; refuses one SOP class,
//   and reports on storage commitment (PS3.4 annex J) to the port NODE what of it is in the folder
const fs = require('fs');
const path = require('path');
const dcmjsDimse = require('dcmjs-dimse');

dcmjsDimse.log.setLevel('silent');
const { Client, Dataset, Server, Scp } = dcmjsDimse;
const { CStoreRequest, NEventReportRequest } = dcmjsDimse.requests;
const { CEchoResponse, CStoreResponse, NActionResponse } = dcmjsDimse.responses;
const { PresentationContextResult, Status, TransferSyntax } = dcmjsDimse.constants;

function send(port, [window, ...files]) {
  const client = new Client();
  for (const file of files) {
    const request = new CStoreRequest(file);
    request.on('response', (response) => console.log(response.getStatus()));
    client.addRequest(request);
  }
  client.on('networkError', (error) => console.log(`error ${error.message}`));
  client.on('associationRejected', () => console.log('rejected'));
  const asyncOps = { maxAsyncOpsInvoked: Number(window), maxAsyncOpsPerformed: 1 };
  client.send('127.0.0.1', port, 'DCMJS', 'DICOMNODE', { asyncOps });
}

function report(asked, folder, node) {
  const { TransactionUID, ReferencedSOPSequence } = asked.getDataset().getElements();
  const items = [].concat(ReferencedSOPSequence);
  const isHere = (item) => fs.existsSync(path.join(folder, `${item.ReferencedSOPInstanceUID}.dcm`));
  const here = items.filter(isHere);
  const gone = items.filter((item) => !isHere(item)).map((item) => ({ ...item, FailureReason: 0x0112 }));
  const told = { TransactionUID };
  if (here.length) told.ReferencedSOPSequence = here;
  if (gone.length) told.FailedSOPSequence = gone;
  const request = new NEventReportRequest(
    asked.getRequestedSopClassUid(), asked.getRequestedSopInstanceUid(), gone.length ? 2 : 1
  );
  request.setDataset(new Dataset(told));
  const client = new Client();
  client.addRequest(request);
  client.on('networkError', () => {});
  client.send('127.0.0.1', Number(node), 'DCMJS', 'DICOMNODE');
}

function receive(port, folder, refused, node) {
  const known = [TransferSyntax.ImplicitVRLittleEndian, TransferSyntax.ExplicitVRLittleEndian];
  class Keeper extends Scp {
    associationRequested(association) {
      for (const { id } of association.getPresentationContexts()) {
        const context = association.getPresentationContext(id);
        const wanted = context.getTransferSyntaxUids().find((each) => known.includes(each));
        if (context.getAbstractSyntaxUid() === refused) {
          context.setResult(PresentationContextResult.RejectAbstractSyntaxNotSupported);
        } else if (wanted) {
          context.setResult(PresentationContextResult.Accept, wanted);
        } else {
          context.setResult(PresentationContextResult.RejectTransferSyntaxesNotSupported);
        }
      }
      this.sendAssociationAccept();
    }

    cEchoRequest(request, callback) {
      const response = CEchoResponse.fromRequest(request);
      response.setStatus(Status.Success);
      callback(response);
    }

    cStoreRequest(request, callback) {
      const response = CStoreResponse.fromRequest(request);
      request.getDataset().toFile(path.join(folder, `${request.getAffectedSopInstanceUid()}.dcm`));
      response.setStatus(Status.Success);
      callback(response);
    }

    nActionRequest(request, callback) {
      const response = NActionResponse.fromRequest(request);
      response.setStatus(node ? Status.Success : Status.ProcessingFailure);
      callback(response);
      if (node) report(request, folder, node);
    }

    associationReleaseRequested() {
      this.sendAssociationReleaseResponse();
    }
  }
  new Server(Keeper).listen(port);
}

const [mode, port, ...rest] = process.argv.slice(2);
if (mode === 'send') send(Number(port), rest);
else receive(Number(port), ...rest);
