// dcmjs-dimse as a Storage SCU or SCP, for the tests.
//   node dcmjs_peer.js send PORT FILE...   prints the status of each answer, or "error TEXT"
//   node dcmjs_peer.js receive PORT FOLDER [CLASS]   keeps what it gets; refuses one SOP class
const path = require('path');
const dcmjsDimse = require('dcmjs-dimse');

dcmjsDimse.log.setLevel('silent');
const { Client, Server, Scp } = dcmjsDimse;
const { CStoreRequest } = dcmjsDimse.requests;
const { CEchoResponse, CStoreResponse } = dcmjsDimse.responses;
const { PresentationContextResult, Status, TransferSyntax } = dcmjsDimse.constants;

function send(port, files) {
  const client = new Client();
  for (const file of files) {
    const request = new CStoreRequest(file);
    request.on('response', (response) => console.log(response.getStatus()));
    client.addRequest(request);
  }
  client.on('networkError', (error) => console.log(`error ${error.message}`));
  client.on('associationRejected', () => console.log('rejected'));
  client.send('127.0.0.1', port, 'DCMJS', 'DICOMNODE');
}

function receive(port, folder, refused) {
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

    associationReleaseRequested() {
      this.sendAssociationReleaseResponse();
    }
  }
  new Server(Keeper).listen(port);
}

const [mode, port, ...rest] = process.argv.slice(2);
if (mode === 'send') send(Number(port), rest);
else receive(Number(port), ...rest);
